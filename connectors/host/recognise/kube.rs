//! Kubernetes client configurations: tokens, client certificates and keys, passwords, and login programs.
//! It must never run a login program.

use base64::{Engine, engine::general_purpose::STANDARD};
use provost_model::{Kind, field};
use zeroize::Zeroizing;

use super::Recogniser;
use crate::host::{
    environment::{Pair, search},
    found::{Finds, Item},
    pem_blocks,
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const CONFIG: Recogniser = Recogniser {
    name: "kube_config",
    title: "Kubernetes client configurations",
    keeps_secrets: true,
    takes: |place| {
        place.ends(".kube/config")
            || place.has_extension("kubeconfig")
            || matches!(place.name(), "kubeconfig" | "kubeconfig.yaml" | "kubeconfig.yml" | "k3s.yaml")
            || (place.parent() == "kubernetes" && place.has_extension("conf"))
    },
    read,
};

fn read(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    for document in Node::yaml(bytes)? {
        for user in document.get("users").items() {
            let name = user.get("name").text().unwrap_or_default();
            let server = server_of(&document, name);
            credentials(name, server, user.get("user"), finds);
        }
    }
    Ok(())
}

fn credentials(name: &str, server: &str, user: &Node, finds: &mut Finds<'_>) {
    let at = |what: &str| format!("users/{name}/{what}");
    if let Some(value) = user.get("token").text() {
        finds.slot(Item::new(Kind::Token, "kubernetes_token", at("token"), value).service(server).username(name));
    }
    if let Some(value) = user.get("password").scalar() {
        let account = user.get("username").text().unwrap_or_default();
        finds.slot(
            Item::new(Kind::Password, "kubernetes_password", at("password"), value).service(server).username(account),
        );
    }
    let provider = user.at(&["auth-provider", "config"]);
    for (what, sort) in
        [("access-token", "oidc_access_token"), ("id-token", "oidc_id_token"), ("refresh-token", "oidc_refresh_token")]
    {
        if let Some(value) = provider.get(what).text() {
            finds.slot(Item::new(Kind::Token, sort, at(&format!("auth-provider/{what}")), value).service(server));
        }
    }
    if let Some(value) = provider.get("client-secret").text() {
        finds.slot(
            Item::new(Kind::ClientSecret, "oidc_client_secret", at("auth-provider/client-secret"), value)
                .service(server),
        );
    }
    let decoded =
        |what: &str| user.get(what).text().and_then(|text| STANDARD.decode(text.trim()).ok()).map(Zeroizing::new);
    if let Some(bytes) = decoded("client-certificate-data") {
        for certificate in pem_blocks::certificates(&bytes).into_iter().take(1) {
            finds.certificate(at("client-certificate-data"), certificate);
        }
    }
    if let Some(bytes) = decoded("client-key-data") {
        let key = pem_blocks::first_private_key(&bytes);
        let server = server.to_owned();
        pem_blocks::keep_private_key(
            key,
            (Kind::Secret, "kubernetes_client_key"),
            &at("client-key-data"),
            finds,
            |facts| facts.with(field::SERVICE, server),
        );
    }
    let environment = user.at(&["exec", "env"]).items();
    let pairs: Vec<_> = environment
        .iter()
        .filter_map(|it| Some(Pair::new(&at("exec/env"), it.get("name").text()?, it.get("value").scalar()?)))
        .collect();
    search(&pairs, None, finds);
}

/// The server of the first context in which that user appears.
fn server_of<'n>(document: &'n Node, user: &str) -> &'n str {
    let context = document.get("contexts").items().iter().find(|it| it.at(&["context", "user"]).text() == Some(user));
    let cluster = context.and_then(|it| it.at(&["context", "cluster"]).text());
    let found = document
        .get("clusters")
        .items()
        .iter()
        .find(|it| it.get("name").text().is_some() && it.get("name").text() == cluster);
    found.and_then(|it| it.at(&["cluster", "server"]).text()).unwrap_or("kubernetes")
}
