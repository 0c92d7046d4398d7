//! The database server: what it says of two roles, and statements that change one, each in one transaction.
//! It must never send a password, log a statement, or call undone what a lost answer to COMMIT may have done.

use std::{path::PathBuf, time::Duration};

use provost_client::authority::SecretOf;
use provost_model::{Order, Warrant as _};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{ActionError, given::secret};

/// How long a connection, or what is done on one, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How what the server itself says begins.
const SAYS: &str = "the database says ";

/// Where the server is, and who acts there.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) password: Option<SecretOf>,
    pub(super) encrypted: bool,
    pub(super) authority: Option<PathBuf>,
}

/// What the server says of a role.
#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) may_login: bool,
    pub(super) expired: bool,
    /// What people wrote about it; the first line is ours where it begins so.
    pub(super) comment: String,
    pub(super) sessions: i64,
}

const ROLES: &str = "SELECT r.rolname::text, r.rolcanlogin, coalesce(r.rolvaliduntil <= now(), false) AS expired, \
    coalesce(shobj_description(r.oid, 'pg_authid'), '') AS comment, \
    (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid) AS sessions \
    FROM pg_roles r WHERE r.rolname::text = ANY($1)";

/// What the first of two roles can and the second cannot.
const MORE: &str = "WITH one AS (SELECT * FROM pg_roles WHERE rolname::text = $1), \
    other AS (SELECT * FROM pg_roles WHERE rolname::text = $2) SELECT \
    EXISTS (SELECT m.roleid FROM pg_auth_members m, one WHERE m.member = one.oid EXCEPT \
        SELECT m.roleid FROM pg_auth_members m, other WHERE m.member = other.oid) AS membership, \
    coalesce((SELECT (one.rolsuper, one.rolinherit, one.rolcreaterole, one.rolcreatedb, one.rolreplication, \
        one.rolbypassrls) IS DISTINCT FROM (other.rolsuper, other.rolinherit, other.rolcreaterole, other.rolcreatedb, \
        other.rolreplication, other.rolbypassrls) FROM one, other), true) AS attributes, \
    EXISTS (SELECT FROM pg_shdepend d, one WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = one.oid \
        AND d.deptype = 'o') AS owns, \
    EXISTS (SELECT s.setdatabase, unnest(s.setconfig) FROM pg_db_role_setting s, one WHERE s.setrole = one.oid EXCEPT \
        SELECT s.setdatabase, unnest(s.setconfig) FROM pg_db_role_setting s, other WHERE s.setrole = other.oid) AS settings";

/// Roles that cannot log in and that both are members of.
const SHARED: &str = "SELECT count(*) FROM pg_roles g WHERE NOT g.rolcanlogin AND (SELECT count(*) FROM \
    pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE m.roleid = g.oid AND r.rolname::text = ANY($1)) >= 2";

impl Server {
    /// A connection of the one who acts.
    pub(super) async fn enter(&self) -> Result<PgConnection, ActionError> {
        let password = match &self.password {
            Some(password) => Some(secret::asked(password).await?),
            None => None,
        };
        self.connect((&self.user, password.as_ref()), &self.database).await
    }

    /// A connection of that user.
    pub(super) async fn connect(
        &self,
        (user, password): (&str, Option<&SecretString>),
        database: &str,
    ) -> Result<PgConnection, ActionError> {
        let mode = if self.encrypted { PgSslMode::VerifyFull } else { PgSslMode::Disable };
        let options = PgConnectOptions::new_without_pgpass().host(&self.host).port(self.port).username(user);
        let mut options =
            options.database(database).ssl_mode(mode).application_name("provost").disable_statement_logging();
        if self.host.starts_with('/') {
            options = options.socket(&self.host);
        }
        if let Some(authority) = &self.authority {
            options = options.ssl_root_cert(authority);
        }
        if let Some(password) = password {
            options = options.password(password.expose_secret());
        }
        timely(PgConnection::connect_with(&options)).await
    }

    /// What those of these roles are that are there.
    pub(super) async fn roles(&self, on: &mut PgConnection, names: &[String]) -> Result<Vec<Role>, ActionError> {
        let rows = timely(sqlx::query(ROLES).bind(names).fetch_all(on)).await?;
        let role = |row: &sqlx::postgres::PgRow| -> Result<Role, sqlx::Error> {
            Ok(Role {
                name: row.try_get(0)?,
                may_login: row.try_get(1)?,
                expired: row.try_get(2)?,
                comment: row.try_get(3)?,
                sessions: row.try_get(4)?,
            })
        };
        rows.iter().map(role).collect::<Result<_, _>>().map_err(|error| before(&error))
    }

    /// What one role can and the other cannot, in words.
    pub(super) async fn more(
        &self,
        on: &mut PgConnection,
        one: &str,
        other: &str,
    ) -> Result<Option<&'static str>, ActionError> {
        let row = timely(sqlx::query(MORE).bind(one).bind(other).fetch_one(on)).await?;
        let said = [
            "it is not a member of every role that the one in use is a member of",
            "its attributes are not those of the one in use",
            "the one in use owns objects by itself, and not the role that both are members of",
            "it has not all settings (ALTER ROLE … SET) of the one in use",
        ];
        for (column, said) in said.into_iter().enumerate() {
            if row.try_get(column).map_err(|error| before(&error))? {
                return Ok(Some(said));
            }
        }
        Ok(None)
    }

    /// How many roles that cannot log in they share.
    pub(super) async fn shared(&self, on: &mut PgConnection, names: &[String]) -> Result<i64, ActionError> {
        timely(sqlx::query_scalar(SHARED).bind(names).fetch_one(on)).await
    }
}

/// Changes something, in a transaction that was begun, and ends it.
pub(super) async fn change(on: &mut PgConnection, order: &Order, statements: &[String]) -> Result<(), ActionError> {
    tracing::debug!(remedy = order.remedy().word(), commit = order.decision().commit(), "changes a role");
    for statement in statements {
        timely(sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut *on)).await?;
    }
    match tokio::time::timeout(PATIENCE, sqlx::raw_sql("COMMIT").execute(on)).await {
        Ok(Ok(_)) => Ok(()),
        // The server itself says that it was not done.
        Ok(Err(error @ sqlx::Error::Database(_))) => Err(before(&error)),
        Ok(Err(error)) => Err(ActionError::Ambiguous { said: format!("no answer to COMMIT: {}", said(&error)) }),
        Err(_) => Err(ActionError::Ambiguous { said: format!("no answer to COMMIT in {} s", PATIENCE.as_secs()) }),
    }
}

/// Begins a transaction.
pub(super) async fn begin(on: &mut PgConnection) -> Result<(), ActionError> {
    timely(sqlx::raw_sql("BEGIN").execute(on)).await.map(drop)
}

/// A name, as it is written in a statement.
pub(super) fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A text, as it is written in a statement, however the server takes backslashes.
pub(super) fn literal(text: &str) -> String {
    let escape = if text.contains('\\') { " E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Whatever did not reach a COMMIT did not happen.
async fn timely<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, ActionError> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(|error| before(&error)),
        Err(_) => {
            let said = format!("the database did not answer within {} s", PATIENCE.as_secs());
            Err(ActionError::Retry { after: None, said })
        }
    }
}

/// What an error before COMMIT means: nothing happened. What the server refuses for what was asked, it refuses again; its
/// state, and who may do what, can change (PostgreSQL, appendix A).
fn before(error: &sqlx::Error) -> ActionError {
    let said = said(error);
    let code = error.as_database_error().and_then(|it| it.code()).unwrap_or_default().into_owned();
    let passes =
        code == "42501" || ["08", "25", "28", "40", "53", "55", "57", "58", "XX"].iter().any(|it| code.starts_with(it));
    match error {
        sqlx::Error::Database(_) if !passes => ActionError::GiveUp { said },
        _ => ActionError::Retry { after: None, said },
    }
}

/// Whether it was the server's word that such a user is not let in (class 28), or not into that database.
pub(super) fn is_shut(said: &str) -> bool {
    said.strip_prefix(SAYS).is_some_and(|it| it.starts_with("28") || it.starts_with("42501"))
}

/// An error, without anything that was sent.
fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            let message: String = error.message().chars().filter(|it| !it.is_control()).take(200).collect();
            format!("{SAYS}{code}: {message}")
        }
        sqlx::Error::Io(error) => format!("the connection to the database is lost: {}", error.kind()),
        sqlx::Error::Tls(_) => "the database's certificate is not trusted, or it speaks no TLS".to_owned(),
        sqlx::Error::Configuration(_) => "the database cannot be reached as it is configured".to_owned(),
        _ => "the database answers in a way that is not understood".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_and_no_text_can_be_broken_out_of() {
        assert_eq!(name("a\"; DROP ROLE b; --"), "\"a\"\"; DROP ROLE b; --\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'; x"), r" E'a\\''; x'");
    }
}
