//! The token file of Vault and OpenBao.
//! It must never use the token it finds.

use provost_model::Kind;

use super::{Recogniser, text};
use crate::host::found::Item;

pub(super) const TOKEN: Recogniser = Recogniser {
    name: "vault_token",
    title: "Vault and OpenBao login tokens",
    keeps_secrets: true,
    takes: |place| matches!(place.name(), ".vault-token" | ".bao-token"),
    read: |_, bytes, finds| {
        let text = text(bytes)?;
        finds.slot(Item::new(Kind::Token, "vault_token", "token", text.trim()).service("vault"));
        Ok(())
    },
};
