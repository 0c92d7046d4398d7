//! Logins of Cloudflare's command lines: Wrangler, and the tunnels of cloudflared.
//! It must never call a login's certificate a certificate when it is a token in such a wrapping.

use provost_model::{Kind, Time};

use super::Recogniser;
use crate::host::{
    found::{Finds, Item},
    pem_blocks,
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const WRANGLER: Recogniser = Recogniser {
    name: "wrangler_config",
    title: "Cloudflare Wrangler logins",
    keeps_secrets: true,
    takes: |place| place.below(".wrangler/config") && place.has_extension("toml"),
    read: wrangler,
};

pub(super) const TUNNELS: Recogniser = Recogniser {
    name: "cloudflared",
    title: "Cloudflare tunnel credentials",
    keeps_secrets: true,
    takes: |place| {
        matches!(place.parent(), ".cloudflared" | "cloudflared")
            && (place.name() == "cert.pem" || place.has_extension("json"))
    },
    read: tunnels,
};

fn wrangler(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::toml(bytes)?;
    let ends = document.get("expiration_time").text().and_then(|text| text.parse::<Time>().ok());
    for (name, sort, ends) in [
        ("oauth_token", "cloudflare_oauth_token", ends),
        ("refresh_token", "cloudflare_refresh_token", None),
        ("api_token", "cloudflare_api_token", None),
    ] {
        if let Some(value) = document.get(name).text() {
            finds.slot(Item::new(Kind::Token, sort, name, value).service("api.cloudflare.com").expires(ends));
        }
    }
    Ok(())
}

fn tunnels(place: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    if place.has_extension("json") {
        let document = Node::json(bytes)?;
        if let Some(value) = document.get("TunnelSecret").text() {
            let tunnel = document.get("TunnelID").text().unwrap_or_default();
            let item = Item::new(Kind::Secret, "cloudflare_tunnel_secret", "TunnelSecret", value);
            finds.slot(item.service("api.cloudflare.com").opens(tunnel).long_lived(true));
        }
        return Ok(());
    }
    for block in pem_blocks::blocks(bytes) {
        if !matches!(block.label, "ARGO TUNNEL TOKEN" | "WARP TOKEN") {
            continue;
        }
        let login = Node::json(&block.content)?;
        for (name, sort) in [("apiToken", "cloudflare_api_token"), ("serviceKey", "cloudflare_service_key")] {
            if let Some(value) = login.get(name).text() {
                finds.slot(Item::new(Kind::Token, sort, name, value).service("api.cloudflare.com").long_lived(true));
            }
        }
    }
    // A login of the older sort carries the key and certificate of the tunnel beside it.
    if let Some(key) = pem_blocks::first_private_key(bytes) {
        let sort = (Kind::Secret, "cloudflare_origin_key");
        pem_blocks::keep_private_key(Some(key), sort, "private key", finds, |facts| facts);
    }
    Ok(())
}
