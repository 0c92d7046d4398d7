//! Letters by mail: plain text over SMTP, one transaction each.
//! It must never send a password or a letter over a connection to another machine that is not encrypted.

mod conversation;
mod message;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use async_trait::async_trait;
use lettre::{
    Address,
    transport::smtp::{client::TlsParameters, extension::ClientId},
};
use provost_client::authority::SecretOf;
use provost_model::Errand;
use serde::Deserialize;

use self::{conversation::Server, message::Composed};
use super::{
    Checked, Delivery, Handed, Receipt, Sink, SinkSpec,
    settings::{parsed, reference},
    trust,
};
use crate::{ActionError, Dialect, Letter, Wording};

/// What this sink is.
pub static SPEC: SinkSpec = SinkSpec {
    name: "mail",
    title: "Mail (SMTP)",
    about: "plain text to people, to a list or to whoever answers for a case, by any server that takes mail",
    delivery: Delivery::Blind,
    because: "a connection that ends after the text was sent leaves open whether the server took it; nobody can ask",
    gathers: true,
    per_minute: 20,
    acts: &["SMTP MAIL, RCPT, DATA"],
    reads: &["SMTP EHLO, STARTTLS, AUTH, QUIT"],
    permissions: &["an account that may send as the address in from"],
    checked: Checked::RealServer("aiosmtpd"),
    example: EXAMPLE,
    documentation: &[
        "https://www.rfc-editor.org/rfc/rfc5321",
        "https://www.rfc-editor.org/rfc/rfc5322",
        "https://www.rfc-editor.org/rfc/rfc8314",
        "https://www.rfc-editor.org/rfc/rfc3834",
    ],
    build: &build,
};

const EXAMPLE: &str = r#"[[sinks]]
name = "mail"
kind = "mail"
host = "smtp.example.org"
tls = "starttls"                                     # or "implicit"; "none" only to this machine
# port = 587                                         # 465 with "implicit", 25 with "none"
user = "provost@example.org"                         # without user and password nobody signs in
password = "file:/etc/provost/smtp-password"         # a reference
from = "provost@example.org"
to = ["security@example.org"]                        # or "owner": whoever answers for the case
# otherwise_to = ["security@example.org"]            # with "owner": who gets letters of cases without one
# hello = "daemon.example.org"                       # instead of this machine's name
# ca_file = "/etc/provost/internal-ca.pem"           # authorities to trust instead of the system's
# A letter has one transaction: a recipient that the server refuses for good stops it for all, and is named.
"#;

/// Most recipients of a letter. Every server takes a hundred (RFC 5321, 4.5.3.1.8).
const RECIPIENTS_MAX: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encryption {
    Starttls,
    Implicit,
    None,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TypedTo {
    Word(String),
    List(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    host: String,
    port: Option<u16>,
    tls: Encryption,
    user: Option<String>,
    password: Option<String>,
    from: String,
    to: TypedTo,
    otherwise_to: Option<Vec<String>>,
    hello: Option<String>,
    ca_file: Option<PathBuf>,
}

/// Whom letters are for.
enum To {
    These(Vec<Address>),
    /// Whoever the letter is for, and these of a letter for nobody.
    Owner(Vec<Address>),
}

struct Mail {
    server: Server,
    from: Address,
    to: To,
    wording: Wording,
}

fn build(handed: &Handed) -> Result<Box<dyn Sink>, String> {
    let settings: Settings = parsed(handed)?;
    let to = to(&settings)?;
    let from = message::address(&settings.from).ok_or("from: one address, such as provost@example.org")?;
    let wording = Wording::new(Dialect::Plain, handed.template.as_deref()).map_err(|error| error.to_string())?;
    Ok(Box::new(Mail { server: server(&settings, handed)?, from, to, wording }))
}

fn server(settings: &Settings, handed: &Handed) -> Result<Server, String> {
    let host = settings.host.trim();
    if host.is_empty() || !host.bytes().all(|it| it.is_ascii_alphanumeric() || b".-_:".contains(&it)) {
        return Err("host: a name or an address, and the port in port".to_owned());
    }
    let (tls, usual) = match settings.tls {
        Encryption::Starttls => (Some(encryption(settings, host)?), 587),
        Encryption::Implicit => (Some(encryption(settings, host)?), 465),
        Encryption::None if is_this_machine(host) => (None, 25),
        Encryption::None => return Err("tls: \"none\" is for this machine only".to_owned()),
    };
    Ok(Server {
        host: host.to_owned(),
        port: settings.port.unwrap_or(usual),
        implicit: settings.tls == Encryption::Implicit,
        tls,
        login: login(settings, handed)?,
        hello: hello(settings.hello.as_deref().unwrap_or(&handed.hostname))?,
        before: Duration::from_secs(60),
        // Some look through a text before they take it (RFC 5321, 4.5.3.2.6).
        after: Duration::from_secs(60),
    })
}

fn encryption(settings: &Settings, host: &str) -> Result<TlsParameters, String> {
    use lettre::transport::smtp::client::{Certificate, CertificateStore};
    let mut tls = TlsParameters::builder(host.to_owned());
    if let Some(file) = &settings.ca_file {
        let bundle = trust::bundle(file)?;
        let unread = |_| "ca_file: its certificates cannot be read".to_owned();
        let bundle = Certificate::from_pem(&bundle).map_err(unread)?;
        tls = tls.certificate_store(CertificateStore::None).add_root_certificate(bundle);
    }
    tls.build().map_err(|error| format!("tls: it cannot be set up: {error}"))
}

fn login(settings: &Settings, handed: &Handed) -> Result<Option<(String, SecretOf)>, String> {
    match (&settings.user, &settings.password) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) if !user.is_empty() && !user.contains(char::is_control) => {
            Ok(Some((user.clone(), reference(handed, "password", password)?)))
        }
        _ => Err("user and password: both, or neither".to_owned()),
    }
}

/// How this machine presents itself. Where its name is none for a server, its address on itself has to do.
fn hello(name: &str) -> Result<ClientId, String> {
    let plain = |name: &str| name.bytes().all(|it| it.is_ascii_alphanumeric() || b".-".contains(&it));
    match name.parse() {
        Ok(IpAddr::V4(address)) => Ok(ClientId::Ipv4(address)),
        Ok(IpAddr::V6(address)) => Ok(ClientId::Ipv6(address)),
        Err(_) if !name.is_empty() && name.len() <= 255 && plain(name) => Ok(ClientId::Domain(name.to_owned())),
        Err(_) => Err("hello: a name or an address of this machine".to_owned()),
    }
}

fn to(settings: &Settings) -> Result<To, String> {
    let read = |setting: &str, list: &[String]| {
        let wrong = || format!("{setting}: from 1 to {RECIPIENTS_MAX} addresses, such as security@example.org");
        let read: Option<Vec<Address>> = list.iter().map(|it| message::address(it)).collect();
        read.filter(|it| (1..=RECIPIENTS_MAX).contains(&it.len())).ok_or_else(wrong)
    };
    match (&settings.to, &settings.otherwise_to) {
        (TypedTo::Word(word), Some(otherwise)) if word == "owner" => Ok(To::Owner(read("otherwise_to", otherwise)?)),
        (TypedTo::Word(word), None) if word == "owner" => {
            Err("otherwise_to: who gets letters of cases without an owner".to_owned())
        }
        (TypedTo::Word(_), _) => Err("to: a list of addresses, or \"owner\"".to_owned()),
        (TypedTo::List(_), Some(_)) => Err("otherwise_to: only with to = \"owner\"".to_owned()),
        (TypedTo::List(list), None) => Ok(To::These(read("to", list)?)),
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Mail {
    fn composed(&self, letter: &Letter) -> Result<Composed, String> {
        let to = match (&self.to, &letter.address) {
            (To::These(to), _) | (To::Owner(to), None) => to.clone(),
            (To::Owner(_), Some(owner)) => {
                vec![message::address(owner).ok_or("the owner's address is none that mail can be sent to")?]
            }
        };
        let text = self.wording.words(letter).map_err(|error| error.to_string())?;
        Composed::new(letter, (&self.from, to), text)
    }
}

#[async_trait]
impl Sink for Mail {
    fn delivery(&self) -> Delivery {
        Delivery::Blind
    }

    async fn deliver(&self, errand: &Errand, letter: &Letter) -> Result<Receipt, ActionError> {
        let composed = self.composed(letter).map_err(|said| ActionError::GiveUp { said })?;
        self.server.send(errand, &composed).await?;
        Ok(Receipt { reference: Some(composed.id), url: None })
    }

    async fn look_up(&self, _: &Letter) -> Result<Option<Receipt>, ActionError> {
        Err(ActionError::GiveUp { said: "a mail server shows nothing of what it took".to_owned() })
    }

    async fn check(&self) -> Result<String, ActionError> {
        self.server.check().await
    }

    fn preview(&self, letter: &Letter) -> Result<String, String> {
        Ok(self.composed(letter)?.shown())
    }
}
