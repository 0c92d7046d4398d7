//! Logins of PostgreSQL in pairs: two roles that can do the same, of which one is in use and the other cannot log in.
//! It must never change the password of a role that anybody can be using, nor let the server see a password.

mod scram;
mod server;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use provost_model::{Clock, Kind, Order, Reading, Remedy, Slot, Span, Target};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sqlx::{Connection as _, PgConnection};

use self::server::{Role, Server, begin, change, literal, name};
use super::{Minted, Rotator, RotatorSpec, Way};
use crate::{
    ActionError, Bundle,
    given::{
        Handed,
        settings::{parsed, reference},
    },
    sinks::Checked,
};

/// What this rotator is.
pub(super) static SPEC: RotatorSpec = RotatorSpec {
    name: "postgresql_login",
    title: "PostgreSQL login roles",
    about: "gives the idle one of two roles that share an owner role a new password and lets it log in, and later forbids the \
            other to log in; sessions that are open then go on until they end",
    kinds: &[Kind::Password],
    remedies: &[Remedy::Rotate, Remedy::Disable],
    way: Way::Overlap { capacity: Some(2) },
    reversible: true,
    removes: false,
    parts: &[USER, PASSWORD],
    marks: true,
    prepares: false,
    lag: Some(0),
    acts: &[
        "ALTER ROLE … PASSWORD … LOGIN VALID UNTIL …",
        "ALTER ROLE … LOGIN",
        "ALTER ROLE … NOLOGIN",
        "COMMENT ON ROLE …",
    ],
    reads: &["SELECT of pg_roles, pg_auth_members, pg_db_role_setting, pg_shdepend, pg_stat_activity"],
    permissions: &["CREATEROLE, and from PostgreSQL 16 on ADMIN OPTION on both roles", "may connect to the database"],
    checked: Checked::RealServer("PostgreSQL 15"),
    example: EXAMPLE,
    documentation: &[
        "https://www.postgresql.org/docs/current/sql-alterrole.html",
        "https://www.postgresql.org/docs/current/catalog-pg-authid.html",
        "https://www.postgresql.org/docs/current/monitoring-stats.html",
    ],
    build: &build,
};

const USER: &str = "user";
const PASSWORD: &str = "password";
/// How the marks of sagas begin.
const MARK: &str = "provost ";
/// Longest name of a role, in bytes (`NAMEDATALEN`).
const LONGEST: usize = 63;

const EXAMPLE: &str = r#"[[rotations]]
name = "app-database"
kind = "postgresql_login"
host = "db.example.org"                       # or the absolute directory of its socket
# port = 5432
database = "app"                              # where both roles may connect, and the one that acts
user = "provost"                              # who acts: CREATEROLE, and ADMIN OPTION on both roles; never one of the pair
password = "credential:app-database-admin"    # a reference; without it the server must know the daemon otherwise
pair = ["app_a", "app_b"]                     # members of one role that owns everything; the idle one is NOLOGIN
# valid_days = 90                             # VALID UNTIL of new passwords; without it they do not expire
# ca = "/etc/ssl/db-ca.pem"                   # who vouches for the server; without it the usual authorities
# tls = "off"                                 # only to this machine
"#;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tls {
    #[default]
    VerifyFull,
    Off,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    host: String,
    #[serde(default = "usual_port")]
    port: u16,
    database: String,
    user: String,
    password: Option<String>,
    pair: [String; 2],
    valid_days: Option<u16>,
    ca: Option<PathBuf>,
    #[serde(default)]
    tls: Tls,
}

fn usual_port() -> u16 {
    5432
}

struct Logins {
    server: Server,
    pair: [String; 2],
    valid_days: Option<u16>,
    clock: Arc<dyn Clock>,
}

/// One pair, with the ids that the inventory has for its roles.
struct Pair<'r> {
    target: &'r str,
    idle: &'r str,
    target_id: String,
    idle_id: String,
}

fn build(handed: &Handed) -> Result<Box<dyn Rotator>, String> {
    let typed: Typed = parsed(handed)?;
    let here = ["localhost", "127.0.0.1", "::1"].contains(&typed.host.as_str()) || typed.host.starts_with('/');
    if typed.tls == Tls::Off && !here {
        return Err("tls: off is only for a server on this machine".to_owned());
    }
    let [one, other] = &typed.pair;
    if one == other || typed.pair.iter().any(|it| it.is_empty() || it.len() > LONGEST || it.contains('\0')) {
        return Err("pair: expected the names of two roles".to_owned());
    }
    if typed.pair.contains(&typed.user) {
        return Err("user: whoever acts is not one of the pair".to_owned());
    }
    let password = typed.password.map(|text| reference(handed, "password", &text)).transpose()?;
    let server = Server {
        // A socket is never encrypted.
        encrypted: typed.tls == Tls::VerifyFull && !typed.host.starts_with('/'),
        host: typed.host,
        port: typed.port,
        database: typed.database,
        user: typed.user,
        password,
        authority: typed.ca,
    };
    Ok(Box::new(Logins { server, pair: typed.pair, valid_days: typed.valid_days, clock: handed.clock.clone() }))
}

impl Logins {
    /// Which of the pair the target is: by its id, or by what the id ends with, or by whose it is.
    fn pair(&self, target: &Target) -> Result<Pair<'_>, ActionError> {
        let [one, other] = &self.pair;
        let head = |role: &str| {
            let head = target.external_id.strip_suffix(role)?;
            (head.is_empty() || head.ends_with(['/', '#', ':', '.'])).then(|| head.to_owned())
        };
        let by_id = [(one, other), (other, one)].into_iter().filter_map(|(it, idle)| Some((it, idle, head(it)?)));
        // Of `a` and `x.a` the longer one is meant.
        let by_id = by_id.max_by_key(|(it, ..)| it.len());
        let of_holder = |role: &str| [&target.holder_name, &target.holder_id].iter().any(|it| *it == role);
        let by_holder = [(one, other), (other, one)].into_iter().find(|(it, _)| of_holder(it));
        let found = by_id.or_else(|| by_holder.map(|(it, idle)| (it, idle, String::new())));
        let (target_role, idle, head) = found.ok_or_else(|| refused("it is none of the two roles of this entry"))?;
        Ok(Pair { target: target_role, idle, target_id: target.external_id.clone(), idle_id: format!("{head}{idle}") })
    }

    /// The role of an id.
    fn role<'r>(&'r self, target: &Target, id: &str) -> Result<&'r str, ActionError> {
        let pair = self.pair(target)?;
        match id {
            _ if id == pair.target_id => Ok(pair.target),
            _ if id == pair.idle_id => Ok(pair.idle),
            _ => Err(refused("it is none of the two roles of this entry")),
        }
    }

    async fn both(&self, on: &mut PgConnection, names: [&str; 2]) -> Result<[Option<Role>; 2], ActionError> {
        let names = names.map(str::to_owned);
        let roles = self.server.roles(on, &names).await?;
        Ok(names.map(|name| roles.iter().find(|it| it.name == name).cloned()))
    }

    /// Changes a role in one transaction, by statements made of what it is now; none of them: it is so already.
    async fn change(
        &self,
        order: &Order,
        role: &str,
        statements: impl FnOnce(Option<&Role>) -> Result<Vec<String>, ActionError> + Send,
    ) -> Result<(), ActionError> {
        let mut on = self.server.enter().await?;
        begin(&mut on).await?;
        let roles = self.server.roles(&mut on, &[role.to_owned()]).await?;
        let statements = statements(roles.first())?;
        if !statements.is_empty() {
            change(&mut on, order, &statements).await?;
        }
        left(on).await
    }

    fn slot(&self, id: String, role: &Role) -> Slot {
        // The server knows sessions that are open, and nothing of those before.
        let used_at = if role.sessions > 0 { Reading::Known(self.clock.now()) } else { Reading::NotReported };
        let active = role.may_login && !role.expired;
        Slot { id, active, made_at: Reading::NotReported, used_at, mark: marked(&role.comment).0.map(str::to_owned) }
    }
}

#[async_trait]
impl Rotator for Logins {
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError> {
        let pair = self.pair(target)?;
        let mut on = self.server.enter().await?;
        let [of_target, idle] = self.both(&mut on, [pair.target, pair.idle]).await?;
        left(on).await?;
        // A role that cannot log in, and that nobody is logged in as, is room for a new login, and none itself.
        let idle = idle.filter(|it| it.may_login || it.sessions > 0);
        let slots = [(pair.target_id, of_target), (pair.idle_id, idle)].into_iter();
        Ok(slots.filter_map(|(id, role)| role.map(|role| self.slot(id, &role))).collect())
    }

    async fn mint(&self, order: &Order, target: &Target, mark: &str, _: &Bundle) -> Result<Minted, ActionError> {
        let pair = self.pair(target)?;
        let random = |_| ActionError::Retry { after: None, said: "this machine has no randomness".to_owned() };
        let password = scram::password().map_err(random)?;
        let verifier = scram::verifier(&password).map_err(random)?;
        let mut on = self.server.enter().await?;
        begin(&mut on).await?;
        let [of_target, idle] = self.both(&mut on, [pair.target, pair.idle]).await?;
        let (Some(_), Some(idle)) = (of_target, idle) else { return Err(refused("one of the two roles is not there")) };
        if idle.may_login || idle.sessions > 0 {
            return Err(refused("the other role can log in, or somebody is logged in as it: there is no idle one"));
        }
        if let Some(said) = self.server.more(&mut on, pair.target, pair.idle).await? {
            return Err(refused(format!("the idle role cannot do what the one in use can: {said}")));
        }
        let until = self.valid_days.map(|days| self.clock.now() + Span::days(i64::from(days)));
        let until = until.map_or_else(|| "infinity".to_owned(), |until| until.to_string());
        let (role, verifier, until) = (name(pair.idle), literal(&verifier), literal(&until));
        let alter = format!("ALTER ROLE {role} PASSWORD {verifier} LOGIN VALID UNTIL {until}");
        let words = [mark, marked(&idle.comment).1].map(str::trim_end).join("\n");
        let comment = format!("COMMENT ON ROLE {role} IS {}", literal(words.trim_end()));
        change(&mut on, order, &[alter, comment]).await?;
        left(on).await?;
        let user = SecretString::from(pair.idle);
        Ok(Minted { id: pair.idle_id, value: Bundle::new([(USER.to_owned(), user), (PASSWORD.to_owned(), password)]) })
    }

    async fn verify(&self, target: &Target, id: &str, value: &Bundle) -> Result<(), ActionError> {
        let role = self.role(target, id)?;
        let part = |part: &str| value.get(part).ok_or_else(|| refused(format!("the value has no part {part:?}")));
        let (user, password) = (part(USER)?, part(PASSWORD)?);
        if user.expose_secret() != role {
            return Err(refused("the value is that of another role"));
        }
        let entered = self.server.connect((role, Some(password)), &self.server.database).await;
        let mut on = entered.map_err(|error| match error {
            ActionError::Retry { said, .. } if server::is_shut(&said) => refused(said),
            error => error,
        })?;
        let asked = sqlx::query_scalar("SELECT session_user::text").fetch_one(&mut on).await;
        let lost = |_| ActionError::Retry { after: None, said: "it was let in, and not answered".to_owned() };
        let session: String = asked.map_err(lost)?;
        left(on).await?;
        if session == role { Ok(()) } else { Err(refused("whoever logs in so is another role")) }
    }

    async fn disable(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        let role = self.role(target, id)?;
        self.change(order, role, |found| match found {
            Some(found) if found.may_login => Ok(vec![format!("ALTER ROLE {} NOLOGIN", name(role))]),
            _ => Ok(Vec::new()),
        })
        .await
    }

    async fn enable(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        let role = self.role(target, id)?;
        self.change(order, role, |found| match found {
            Some(found) if found.may_login => Ok(Vec::new()),
            Some(_) => Ok(vec![format!("ALTER ROLE {} LOGIN", name(role))]),
            None => Err(refused("the role is not there any more")),
        })
        .await
    }

    /// The role stays, for the next time: it has no password then, and cannot log in.
    async fn delete(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        let role = self.role(target, id)?;
        self.change(order, role, |found| {
            let Some(found) = found else { return Ok(Vec::new()) };
            let (mark, words) = marked(&found.comment);
            let comment = if words.is_empty() { "NULL".to_owned() } else { literal(words) };
            let comment = mark.map(|_| format!("COMMENT ON ROLE {} IS {comment}", name(role)));
            let alter = format!("ALTER ROLE {} NOLOGIN PASSWORD NULL", name(role));
            Ok([Some(alter), comment].into_iter().flatten().collect())
        })
        .await
    }

    async fn check(&self) -> Result<String, ActionError> {
        let mut on = self.server.enter().await?;
        let [one, other] = &self.pair;
        let found = self.both(&mut on, [one.as_str(), other.as_str()]).await?;
        let shared = self.server.shared(&mut on, &self.pair).await?;
        left(on).await?;
        let [Some(one), Some(other)] = found else { return Err(refused("one of the two roles is not there")) };
        if shared == 0 {
            return Err(refused("the two roles are not members of one role that cannot log in"));
        }
        let state = match (one.may_login, other.may_login) {
            (true, true) => "both can log in: one must be NOLOGIN before a rotation",
            (false, false) => "neither can log in",
            _ => "one is in use and the other is idle",
        };
        Ok(format!("{} and {} share a role that cannot log in; {state}", one.name, other.name))
    }

    fn own(&self) -> Vec<String> {
        vec![self.server.user.clone()]
    }
}

/// Our line of a role's comment, and what people wrote behind it.
fn marked(comment: &str) -> (Option<&str>, &str) {
    let (first, rest) = comment.split_once('\n').unwrap_or((comment, ""));
    if first.starts_with(MARK) { (Some(first), rest) } else { (None, comment) }
}

/// Takes leave. What was done is done, whatever becomes of the leave.
async fn left(on: PgConnection) -> Result<(), ActionError> {
    let _ = on.close().await;
    Ok(())
}

fn refused(said: impl Into<String>) -> ActionError {
    ActionError::GiveUp { said: said.into() }
}
