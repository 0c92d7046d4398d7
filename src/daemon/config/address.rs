//! Where a store at an address is: the address itself if no password stands in it, else a reference to it.
//! It must never hold a password, nor repeat a text it refuses.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Environment, Reference, ResolveError};

/// The address of a PostgreSQL store, or where it is to be found.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// An address that holds no secret.
    Plain(String),
    /// An address that may hold one.
    Secret(Reference),
}

impl Address {
    /// What `store.url` says.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            let reference = text.parse().map(Self::Secret);
            return reference.map_err(|_| {
                "write postgres://user@host/database, or where such an address is: env:NAME, file:/path, \
                 credential:ID or exec:/program"
                    .to_owned()
            });
        }
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let rest = place.split_once("://").map_or("", |(_, rest)| rest);
        let user = rest.rsplit_once('@').map_or("", |(user, _)| user);
        // An encoded colon in a user's name is none; anything that could be a password is taken for one.
        let names_password = |pair: &str| pair.split('=').next().is_some_and(|name| name.contains("pass"));
        if user.contains(':') || query.split('&').any(names_password) {
            return Err("a password is never written here; put the whole address into a file or variable and write \
                        file:/path or env:NAME, or keep the password in PGPASSFILE; if that was the password, replace \
                        it, it has been on disk"
                .to_owned());
        }
        Ok(Self::Plain(text.to_owned()))
    }

    /// The user it names, where it is written here.
    pub fn user(&self) -> Option<&str> {
        let Self::Plain(address) = self else { return None };
        let (place, _) = address.split_once('?').unwrap_or((address, ""));
        let (user, _) = place.split_once("://")?.1.rsplit_once('@')?;
        (!user.is_empty()).then_some(user)
    }

    /// The address.
    pub fn resolve(&self, environment: &Environment) -> Result<SecretString, ResolveError> {
        match self {
            Self::Plain(address) => Ok(SecretString::from(address.clone())),
            Self::Secret(reference) => {
                let secret = reference.resolve(environment)?;
                Ok(SecretString::from(secret.expose_secret().trim().to_owned()))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(address) => f.write_str(address),
            Self::Secret(reference) => write!(f, "{reference}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_password_is_taken_and_one_with_it_is_not_repeated() {
        for text in [
            "postgres://db/provost",
            "postgresql://me@db.example:5433/provost?sslmode=verify-full",
            "postgres:///provost?host=/run/postgresql",
            "env:DATABASE_URL",
            "file:/etc/provost/url",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        let user = |text| Address::parse(text).unwrap().user().map(str::to_owned);
        assert_eq!(user("postgresql://me@db.example:5433/provost?options=a@b").as_deref(), Some("me"));
        assert_eq!((user("postgres://db/provost"), user("env:DATABASE_URL")), (None, None));
        let secret = "s3cr3t-Value";
        for text in [
            format!("postgres://me:{secret}@db/provost"),
            format!("postgres://me:{secret}@odd@db/provost"),
            format!("postgres://me@db/provost?password={secret}"),
            format!("postgres://me@db/provost?sslmode=disable&passwd={secret}"),
            format!("mysql://me:{secret}@db/provost"),
            secret.to_owned(),
        ] {
            let refusal = Address::parse(&text).unwrap_err();
            assert!(!refusal.contains(secret), "{refusal}");
        }
    }

    #[test]
    fn a_reference_is_followed_to_the_address() {
        let environment = Environment::new([("URL".to_owned(), "postgres://me:pw@db/x\n".to_owned())], 0);
        let address = Address::parse("env:URL").unwrap();
        assert_eq!(address.resolve(&environment).unwrap().expose_secret(), "postgres://me:pw@db/x");
        assert_eq!(format!("{address:?}"), "env:URL");
        assert!(Address::parse("env:OTHER").unwrap().resolve(&environment).is_err());
    }
}
