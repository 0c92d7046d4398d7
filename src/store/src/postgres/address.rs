//! The address of a database: taken apart, checked, and named without its password.
//! It must never repeat the address it was given: a password stands in it.

use std::fmt;

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use crate::StoreError;

/// Parameters of an address, those that libpq knows and sqlx understands.
const KNOWN: [&str; 14] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "ssl-mode",
    "user",
];

/// Where a database is and how one is let in.
#[derive(Clone)]
pub(super) struct Address {
    options: PgConnectOptions,
    place: String,
}

impl Address {
    /// Takes an address of the form `postgres://user:password@host:port/database?sslmode=verify-full` apart.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let refused = |said: &str| StoreError::Refused { place: "store.url".to_owned(), said: said.to_owned() };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(refused("the address must begin with postgres://"));
        }
        // sqlx would go on without a parameter it does not know, and log its value.
        for pair in url.split_once('?').map_or("", |(_, query)| query).split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split('=').next().unwrap_or_default();
            let setting = name.starts_with("options[") || name.starts_with("options%5B");
            if !setting && !KNOWN.contains(&name) {
                return Err(refused(&format!("there is a parameter it does not know; it knows {}", KNOWN.join(", "))));
            }
        }
        let options: PgConnectOptions =
            url.parse().map_err(|_| refused("the address cannot be read; is a sign in the password not encoded?"))?;
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("provost"),
        };
        let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |it| it.display().to_string());
        let database = options.get_database().unwrap_or(options.get_username());
        let place = format!("postgres://{host}:{}/{database}", options.get_port());
        Ok(Self { options: options.disable_statement_logging(), place })
    }

    /// How to connect.
    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// What to call it where people read: host, port, database.
    pub(super) fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr3t-Value";

    #[test]
    fn an_address_is_named_without_its_password() {
        let address =
            Address::parse(&format!("postgres://me:{SECRET}@db.example:5433/provost?sslmode=require")).unwrap();
        assert_eq!(address.place(), "postgres://db.example:5433/provost");
        assert_eq!(format!("{address:?}"), address.place());
        let socket =
            Address::parse(&format!("postgres://me@localhost/provost?host=/run/pg&password={SECRET}")).unwrap();
        assert_eq!(socket.place(), "postgres:///run/pg:5432/provost");
        assert!(!format!("{socket:?}").contains(SECRET));
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        let bad = [
            format!("mysql://me:{SECRET}@db/provost"),
            SECRET.to_owned(),
            format!("postgres://me:{SECRET}@db:port/provost"),
            format!("postgres://me@db/provost?passwrd={SECRET}"),
            format!("postgres://me:{SECRET}@db/provost?sslmode=perhaps"),
        ];
        for url in bad {
            let refusal = Address::parse(&url).map(drop).unwrap_err();
            assert!(matches!(refusal, StoreError::Refused { .. }), "{refusal}");
            assert!(!format!("{refusal} {refusal:?}").contains(SECRET), "{refusal}");
        }
    }
}
