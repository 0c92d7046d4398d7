//! The conversation with a mail server, command by command, so that it is known how far it came.
//! It must never say that nothing happened once the text of a letter was begun, unless the server says so.
//!
//! Lettre speaks SMTP here. What carries it is a connection of this room's own, past the client's gate, which knows HTTP.

mod carried;

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, TlsParameters},
    commands::{Data, Mail, Rcpt},
    extension::ClientId,
    response::{Response, Severity},
};
use provost_client::authority::SecretOf;
use provost_model::{Errand, Warrant as _, door};
use secrecy::ExposeSecret;
use tokio::{net::TcpStream, time::timeout};

use self::carried::Carried;
use super::message::Composed;
use crate::{ActionError, sinks::secret::asked};

/// Longest text of a server that is repeated.
const SAID_MAX: usize = 300;
/// How long one tries to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one waits for a farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// A mail server, and how one talks to it.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether TLS comes before the first word.
    pub(super) implicit: bool,
    pub(super) tls: Option<TlsParameters>,
    pub(super) login: Option<(String, SecretOf)>,
    pub(super) hello: ClientId,
    /// How long everything may take before the text.
    pub(super) before: Duration,
    /// How long the text may take, with its answer.
    pub(super) after: Duration,
}

impl Server {
    /// Sends a mail in one transaction, for an order: to all of its recipients or to none.
    pub(super) async fn send(&self, errand: &Errand, mail: &Composed) -> Result<(), ActionError> {
        tracing::debug!(
            act = "SMTP DATA",
            remedy = errand.remedy().word(),
            commit = errand.decision().commit(),
            "acts"
        );
        let late = |_| retry("no answer in time before the text was sent");
        let mut connection = timeout(self.before, self.addressed(mail)).await.map_err(late)??;
        // From here on the server may have it.
        let sent = timeout(self.after, connection.message(&mail.bytes)).await;
        let outcome = match sent {
            Err(_) => Err(ambiguous("no answer in time after the text was sent")),
            Ok(Ok(response)) if response.code().severity == Severity::PositiveCompletion => Ok(()),
            Ok(Ok(response)) => Err(ambiguous(&format!("a strange answer to the text: {}", spoken(&response)))),
            Ok(Err(error)) => Err(match answered(&error) {
                Some(Answer::NotNow(said)) => retry(&said),
                Some(Answer::Never(said)) => ActionError::GiveUp { said },
                None => ambiguous(&format!("the connection broke after the text was begun: {}", trouble(&error))),
            }),
        };
        part(connection).await;
        outcome
    }

    /// Whether it lets us in; nothing is sent.
    pub(super) async fn check(&self) -> Result<String, ActionError> {
        let late = |_| retry("no answer in time");
        let connection = timeout(self.before, self.entered()).await.map_err(late)??;
        let (tls, login) = (connection.is_encrypted(), self.login.is_some());
        part(connection).await;
        let encrypted = if tls { "over TLS" } else { "without TLS" };
        let signed_in = if login { "signs us in" } else { "asks for no sign-in" };
        Ok(format!("{} {signed_in} {encrypted}; whether it takes mail shows when one is sent", self.host))
    }

    /// A connection on which the server waits for the text.
    async fn addressed(&self, mail: &Composed) -> Result<AsyncSmtpConnection, ActionError> {
        let mut connection = self.entered().await?;
        let sender = Mail::new(Some(mail.from.clone()), Vec::new());
        connection.command(sender).await.map_err(|error| refused("the sender", &error))?;
        let (mut never, mut not_now) = (Vec::new(), Vec::new());
        for to in &mail.to {
            let answer = connection.command(Rcpt::new(to.clone(), Vec::new())).await;
            // Every recipient is asked for, so that all who are refused are named at once.
            match answer.as_ref().err().map(|error| (answered(error), error)) {
                None => {}
                Some((Some(Answer::Never(said)), _)) => never.push(format!("{to} ({said})")),
                Some((Some(Answer::NotNow(said)), _)) => not_now.push(format!("{to} ({said})")),
                Some((None, error)) => return Err(retry(&format!("the connection broke: {}", trouble(error)))),
            }
        }
        let all = mail.to.len();
        if !never.is_empty() {
            part(connection).await;
            let said = format!("{} of {all} recipients refused for good: {}", never.len(), never.join(", "));
            return Err(ActionError::GiveUp { said });
        }
        if !not_now.is_empty() {
            part(connection).await;
            return Err(retry(&format!(
                "{} of {all} recipients refused for now: {}",
                not_now.len(),
                not_now.join(", ")
            )));
        }
        connection.command(Data).await.map_err(|error| refused("the text", &error))?;
        Ok(connection)
    }

    /// A connection that is encrypted and signed in, as far as it is to be.
    async fn entered(&self) -> Result<AsyncSmtpConnection, ActionError> {
        let mut connection = self.connected().await?;
        if let (Some(tls), false) = (&self.tls, self.implicit) {
            let started = connection.starttls(tls.clone(), &self.hello).await;
            started.map_err(|error| retry(&format!("STARTTLS: {}", trouble(&error))))?;
        }
        let Some((user, password)) = &self.login else { return Ok(connection) };
        let password = asked(password).await?;
        let password = password.expose_secret().trim();
        let credentials = Credentials::new(user.clone(), password.to_owned());
        // What is wrong with a sign-in can be put right without the letter.
        connection.auth(DEFAULT_MECHANISMS, &credentials).await.map_err(|error| {
            retry(&format!("the server does not sign us in: {}", without(trouble(&error), user, password)))
        })?;
        Ok(connection)
    }

    async fn connected(&self) -> Result<AsyncSmtpConnection, ActionError> {
        let place = (self.host.as_str(), self.port);
        let failed = |error: Error| retry(&format!("no mail server to talk to: {}", trouble(&error)));
        if let (Some(tls), true) = (&self.tls, self.implicit) {
            let tls = Some(tls.clone());
            return AsyncSmtpConnection::connect_tokio1(place, Some(CONNECT), &self.hello, tls, None)
                .await
                .map_err(failed);
        }
        let stream = timeout(CONNECT, TcpStream::connect(place)).await;
        let stream = stream.map_err(|_| retry("no connection in time"))?;
        let stream = stream.map_err(|error| retry(&format!("no connection: {error}")))?;
        AsyncSmtpConnection::connect_with_transport(Box::new(Carried::new(stream)), &self.hello).await.map_err(failed)
    }
}

/// What a server said that did not want to.
enum Answer {
    /// 4xx: not now.
    NotNow(String),
    /// 5xx: never.
    Never(String),
}

/// The server's answer behind an error, if it gave one. That it wants a sign-in, or another, is nothing that a letter could
/// be refused for (RFC 4954, 6).
fn answered(error: &Error) -> Option<Answer> {
    let sign_in = error.status().is_some_and(|code| [530, 534, 535, 538].contains(&u16::from(code)));
    match (error.is_transient() || sign_in, error.is_permanent()) {
        (true, _) => Some(Answer::NotNow(trouble(error))),
        (_, true) => Some(Answer::Never(trouble(error))),
        _ => None,
    }
}

/// What a command before the text asks of the caller that was not done: nothing happened yet.
fn refused(what: &str, error: &Error) -> ActionError {
    match answered(error) {
        Some(Answer::Never(said)) => ActionError::GiveUp { said: format!("{what} is refused for good: {said}") },
        Some(Answer::NotNow(said)) => retry(&format!("{what} is refused for now: {said}")),
        None => retry(&format!("the connection broke: {}", trouble(error))),
    }
}

/// What went wrong, in one line.
fn trouble(error: &Error) -> String {
    let said = match (error.status(), std::error::Error::source(error)) {
        (Some(code), Some(text)) => format!("{code} {text}"),
        (Some(code), None) => code.to_string(),
        (None, Some(text)) => text.to_string(),
        (None, None) => error.to_string(),
    };
    bounded(&said)
}

/// A text without a password, plain or as it was sent: some servers repeat what they do not like.
fn without(said: String, user: &str, password: &str) -> String {
    let pair = format!("\0{user}\0{password}");
    let sent = [BASE64_STANDARD.encode(pair), BASE64_STANDARD.encode(password), password.to_owned()];
    sent.iter().filter(|it| !it.is_empty()).fold(said, |said, secret| said.replace(secret, "…"))
}

fn spoken(response: &Response) -> String {
    bounded(&format!("{} {}", response.code(), response.first_line().unwrap_or_default()))
}

fn bounded(said: &str) -> String {
    door::terminal(&said.chars().take(SAID_MAX).collect::<String>()).into_owned()
}

/// Says farewell, and does not care whether it is heard.
async fn part(mut connection: AsyncSmtpConnection) {
    let _ = timeout(FAREWELL, connection.abort()).await;
}

fn retry(said: &str) -> ActionError {
    ActionError::Retry { after: None, said: said.to_owned() }
}

fn ambiguous(said: &str) -> ActionError {
    ActionError::Ambiguous { said: said.to_owned() }
}
