//! Passwords git keeps: its credential store, and remotes whose address carries one.
//! It must never keep an address with its password.

use provost_model::Kind;
use zeroize::Zeroizing;

use super::{Recogniser, ini, text};
use crate::host::{
    environment::split_url,
    found::{Finds, Item},
    place::Place,
    tree::Malformed,
};

pub(super) const CREDENTIALS: Recogniser = Recogniser {
    name: "git_credentials",
    title: "git's credential store",
    keeps_secrets: true,
    takes: |place| place.name() == ".git-credentials" || place.ends("git/credentials"),
    read: store,
};

pub(super) const CONFIG: Recogniser = Recogniser {
    name: "git_config",
    title: "Passwords in git remotes and headers",
    keeps_secrets: false,
    takes: |place| place.ends(".git/config") || place.name() == ".gitconfig" || place.ends(".config/git/config"),
    read: config,
};

fn store(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    for line in text.lines() {
        if let Some((user, password, host)) = split_url(line.trim()) {
            let user = percent_decoded(user);
            let user = String::from_utf8_lossy(&user);
            let password = percent_decoded(password);
            let position = format!("{host}/{user}");
            finds.slot(
                Item::of_bytes(Kind::Password, "git_password", position, &password).service(host).username(&user),
            );
        }
    }
    Ok(())
}

fn config(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    for (section, name, value) in ini(&text) {
        let position = || format!("{section}/{name}").replace('"', "");
        if let Some((user, password, host)) = split_url(value) {
            let password = percent_decoded(password);
            finds.value(
                Item::of_bytes(Kind::Password, "git_password", position(), &password).service(host).username(user),
            );
        } else if name.eq_ignore_ascii_case("extraheader")
            && let Some((_, header)) = value.trim_matches('"').split_once(':')
        {
            let service = section.split('"').nth(1).unwrap_or_default();
            finds.value(Item::new(Kind::Token, "git_header", position(), header).service(service));
        }
    }
    Ok(())
}

/// The bytes that an address writes with percent signs.
pub(in crate::host) fn percent_decoded(text: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_read_and_kept_where_they_mean_nothing() {
        assert_eq!(percent_decoded("a%2Fb%").as_slice(), b"a/b%");
        assert_eq!(percent_decoded("%zz%4").as_slice(), b"%zz%4");
    }
}
