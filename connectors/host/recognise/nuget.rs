//! Feed logins of NuGet.
//! It must never take what Windows encrypted for plain text.
//! Source: "nuget.config reference": packageSourceCredentials and apikeys.

use provost_model::Kind;

use super::Recogniser;
use crate::host::{
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const CONFIG: Recogniser = Recogniser {
    name: "nuget_config",
    title: "NuGet feed logins",
    keeps_secrets: false,
    takes: |place| {
        place.name().eq_ignore_ascii_case("nuget.config") || (place.parent() == "config" && place.below("NuGet/config"))
    },
    read,
};

const BY_WINDOWS: &str = "encrypted by Windows for one user of one machine";

fn read(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::xml(bytes)?;
    let configuration = document.get("configuration");
    let sources = configuration.get("packageSources");
    for (name, credentials) in configuration.get("packageSourceCredentials").entries() {
        let name = decoded(name);
        let address = added(sources, &name).unwrap_or(&name);
        let user = added(credentials, "Username").unwrap_or_default();
        for setting in ["ClearTextPassword", "Password"] {
            let Some(value) = added(credentials, setting) else { continue };
            let position = format!("packageSourceCredentials/{name}/{setting}");
            let item = Item::new(Kind::Password, "nuget_password", position, value).service(address).username(user);
            // Either may name an environment variable, which no encryption hides.
            if setting == "Password" && !value.starts_with('%') {
                finds.sealed(item, BY_WINDOWS);
            } else {
                finds.slot(item);
            }
        }
    }
    for key in configuration.get("apikeys").each("add") {
        let feed = key.get("@key").text().unwrap_or_default();
        if let Some(value) = key.get("@value").text() {
            finds.sealed(
                Item::new(Kind::Token, "nuget_api_key", format!("apikeys/{feed}"), value).service(feed),
                BY_WINDOWS,
            );
        }
    }
    Ok(())
}

/// The value of that name in a section; names do not mind case.
fn added<'n>(section: &'n Node, name: &str) -> Option<&'n str> {
    let named = |node: &&Node| node.get("@key").text().is_some_and(|its| its.eq_ignore_ascii_case(name));
    section.each("add").find(named)?.get("@value").text()
}

/// A name as it was before it became that of an element: `_x0020_` is a blank.
fn decoded(name: &str) -> String {
    let mut out = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("_x") {
        let code = after.split_once('_').filter(|(digits, _)| digits.len() == 4);
        let letter = code.and_then(|(digits, _)| char::from_u32(u32::from_str_radix(digits, 16).ok()?));
        out.push_str(before);
        match (letter, code) {
            (Some(letter), Some((_, behind))) => {
                out.push(letter);
                rest = behind;
            }
            _ => {
                out.push_str("_x");
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_elements_are_read_as_the_names_they_were() {
        assert_eq!(decoded("Our_x0020_Feed"), "Our Feed");
        assert_eq!(decoded("a_xyz_b_x"), "a_xyz_b_x");
    }
}
