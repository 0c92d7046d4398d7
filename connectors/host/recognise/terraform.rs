//! Registry and cloud tokens of Terraform and OpenTofu.
//! It must never read state files: what is in them is somebody else's inventory.

use provost_model::Kind;

use super::{Recogniser, text};
use crate::host::{
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const JSON: Recogniser = Recogniser {
    name: "terraform_credentials",
    title: "Terraform and OpenTofu logins",
    keeps_secrets: true,
    takes: |place| place.name() == "credentials.tfrc.json",
    read: json,
};

pub(super) const RC: Recogniser = Recogniser {
    name: "terraform_rc",
    title: "Terraform and OpenTofu client configurations",
    keeps_secrets: true,
    takes: |place| matches!(place.name(), ".terraformrc" | ".tofurc" | "terraform.rc"),
    read: rc,
};

fn json(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::json(bytes)?;
    for (host, entry) in document.get("credentials").entries() {
        if let Some(value) = entry.get("token").text() {
            finds.slot(
                Item::new(Kind::Token, "terraform_token", format!("credentials/{host}/token"), value).service(host),
            );
        }
    }
    Ok(())
}

/// Blocks of the form `credentials "host" { token = "…" }`; the rest of the language does not matter here.
fn rc(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    let mut host = "";
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '/'])) {
        if let Some(rest) = line.strip_prefix("credentials") {
            host = rest.split('"').nth(1).unwrap_or_default();
        }
        let token =
            line.split_once("token").filter(|(before, _)| before.trim_end().is_empty() || before.ends_with(['{', ' ']));
        if let Some((_, rest)) = token
            && let Some(value) = rest.trim_start().strip_prefix('=').and_then(|rest| rest.split('"').nth(1))
        {
            finds.slot(
                Item::new(Kind::Token, "terraform_token", format!("credentials/{host}/token"), value).service(host),
            );
        }
    }
    Ok(())
}
