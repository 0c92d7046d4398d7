//! What an error of the database means for us: the line is lost, try again, or tell the caller.
//! It must never carry the address's password, nor a value of a row, into a message.

use std::io::{Error as IoError, ErrorKind};

use sqlx::Error;

use crate::StoreError;

/// Why a piece of work ended early.
#[derive(Debug)]
pub(super) enum Halt {
    /// The database or the way to it.
    Sqlx(Error),
    /// A refusal of ours: it is told to the caller as it is.
    Store(StoreError),
}

/// What is to be done about an error.
#[derive(Debug)]
pub(super) enum Remedy {
    /// The connection is gone or the server is not there: connect again.
    Reconnect(String),
    /// The server undid the transaction for another's sake: do it again.
    Repeat(String),
    /// The caller must know.
    Tell(StoreError),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Sqlx(error)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Halt {
    /// What is to be done about it, at that database.
    pub(super) fn remedy(self, place: &str) -> Remedy {
        match self {
            Self::Store(error) => Remedy::Tell(error),
            Self::Sqlx(Error::Database(error)) => {
                let code = error.code().unwrap_or_default().into_owned();
                told(&code, format!("{} ({code})", error.message()), place)
            }
            Self::Sqlx(Error::Io(error)) => Remedy::Reconnect(error.to_string()),
            // A reply cut in its middle, or one that belongs to a connection that died.
            Self::Sqlx(Error::Protocol(said)) => Remedy::Reconnect(said),
            Self::Sqlx(Error::Tls(error)) => refused(place, error.to_string()),
            Self::Sqlx(Error::Configuration(error)) => refused(place, error.to_string()),
            Self::Sqlx(error) => Remedy::Tell(StoreError::Codec(format!("what {place} answered: {error}"))),
        }
    }
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn told(code: &str, said: String, place: &str) -> Remedy {
    let io = |kind: ErrorKind, said: String| Remedy::Tell(StoreError::Io(IoError::new(kind, said)));
    match code {
        // Shut down, crashed, starting, idle too long in a transaction, too many connections.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" => Remedy::Reconnect(said),
        "40001" | "40P01" => Remedy::Repeat(said),
        "53100" => io(ErrorKind::StorageFull, said),
        "25006" => io(ErrorKind::ReadOnlyFilesystem, said),
        // A key, a document or a statement over a bound of the server.
        code if code.starts_with("54") => io(ErrorKind::InvalidInput, said),
        code if code.starts_with("08") => Remedy::Reconnect(said),
        // No such user, no right, no such database, no such schema.
        code if code.starts_with("28") || matches!(code, "42501" | "3D000" | "3F000") => refused(place, said),
        _ => io(ErrorKind::Other, said),
    }
}

fn refused(place: &str, said: String) -> Remedy {
    Remedy::Tell(StoreError::Refused { place: place.to_owned(), said })
}

/// What lies in the database is not what this program writes.
pub(super) fn malformed(what: &str) -> Halt {
    Halt::Store(StoreError::Codec(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_says_what_the_caller_does_next() {
        let kind = |code: &str| match told(code, "said".into(), "db") {
            Remedy::Reconnect(_) => "reconnect",
            Remedy::Repeat(_) => "repeat",
            Remedy::Tell(StoreError::Refused { .. }) => "refused",
            Remedy::Tell(StoreError::Io(error)) if error.kind() == ErrorKind::StorageFull => "full",
            Remedy::Tell(_) => "told",
        };
        let table = [
            ("57P01", "reconnect"),
            ("08006", "reconnect"),
            ("25P03", "reconnect"),
            ("40P01", "repeat"),
            ("28P01", "refused"),
            ("3D000", "refused"),
            ("53100", "full"),
            ("42P01", "told"),
            ("", "told"),
        ];
        for (code, expected) in table {
            assert_eq!(kind(code), expected, "{code}");
        }
    }
}
