//! Logins for Python package indexes.
//! It must never take an index address without a password for a secret.

use provost_model::Kind;

use super::{Recogniser, ini, text};
use crate::host::{
    environment::split_url,
    found::{Finds, Item},
    place::Place,
    tree::Malformed,
};

pub(super) const PYPIRC: Recogniser = Recogniser {
    name: "pypirc",
    title: "Python package upload logins",
    keeps_secrets: true,
    takes: |place| place.name() == ".pypirc",
    read: pypirc,
};

pub(super) const PIP_CONF: Recogniser = Recogniser {
    name: "pip_conf",
    title: "Passwords in Python package index addresses",
    keeps_secrets: false,
    takes: |place| place.name() == "pip.conf",
    read: pip_conf,
};

fn pypirc(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    let lines: Vec<_> = ini(&text).collect();
    for (section, name, value) in &lines {
        if *name != "password" {
            continue;
        }
        let beside =
            |wanted: &str| lines.iter().find(|(its, name, _)| its == section && *name == wanted).map(|(_, _, it)| *it);
        let service = beside("repository").unwrap_or(section);
        let item = Item::new(Kind::Password, "package_index_password", format!("{section}/password"), value);
        finds.slot(item.service(service).username(beside("username").unwrap_or_default()));
    }
    Ok(())
}

fn pip_conf(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    for (section, name, value) in ini(&text) {
        if let Some((user, password, host)) = split_url(value) {
            let item = Item::new(Kind::Password, "password_in_url", format!("{section}/{name}"), password);
            finds.value(item.service(host).username(user));
        }
    }
    Ok(())
}
