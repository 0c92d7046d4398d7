//! Logins in `.netrc` files.
//! It must never read the bodies of macros.

use provost_model::Kind;

use super::{Recogniser, text};
use crate::host::{
    found::{Finds, Item},
    place::Place,
    tree::Malformed,
};

pub(super) const NETRC: Recogniser = Recogniser {
    name: "netrc",
    title: ".netrc logins",
    keeps_secrets: true,
    takes: |place| matches!(place.name(), ".netrc" | "_netrc" | ".authinfo" | ".netrc.gpg" | ".authinfo.gpg"),
    read,
};

fn read(place: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    if place.has_extension("gpg") {
        finds.closed("netrc", "", "encrypted with a key of its owner");
        return Ok(());
    }
    let text = text(bytes)?;
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut words = lines.flat_map(str::split_ascii_whitespace);
    let (mut machine, mut login) = ("default", "");
    while let Some(word) = words.next() {
        match word {
            "machine" => (machine, login) = (words.next().unwrap_or_default(), ""),
            "default" => (machine, login) = ("default", ""),
            "login" | "user" => login = words.next().unwrap_or_default(),
            "password" | "passwd" => {
                let value = words.next().unwrap_or_default();
                let position = format!("{machine}/{login}");
                // The Heroku command line keeps its token here; older ones do not show what they are.
                let (kind, sort) = match machine {
                    "api.heroku.com" | "git.heroku.com" => (Kind::Token, "heroku_api_key"),
                    _ => (Kind::Password, "netrc_password"),
                };
                finds.slot(Item::new(kind, sort, position, value).service(machine).username(login));
            }
            // A macro ends at an empty line, which this splitting does not show: nothing behind it is read.
            "macdef" => break,
            _ => {}
        }
    }
    Ok(())
}
