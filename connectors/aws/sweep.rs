//! What has no bulk form: SSH keys, signing certificates, and keys the report hides, user by user at leisure.
//! It must never be part of what a run needs: all of it is counted apart.

use std::collections::HashSet;

use provost_client::Failure;
use provost_model::{Cover, Cursor, Entity, Key, Kind, Reading, Realm, Scope, Time, field};

use super::{
    authorization::{set, time},
    lists::{self, paged, status},
    look::Looking,
    people::{User, UserNo, Users},
    rows,
    session::Session,
};
use crate::{Emitter, Stopped};

/// Scope whose cursor remembers how far the sweep is.
const SSH: &str = "iam/ssh-keys";
const CERTIFICATES: &str = "iam/signing-certificates";

/// How far the sweep is.
struct Position {
    /// Since when the next share grows.
    since: Time,
    /// The unique id of the user looked at last.
    after: String,
}

/// The users whose turn it is.
pub(super) struct Round {
    order: Vec<UserNo>,
    next: Position,
}

impl Round {
    /// The share of users that is due; all of them if the operator asks for it.
    pub(super) fn due(looking: &Looking<'_>, users: &Users, now: Time) -> Self {
        let begun = || Position { since: now, after: String::new() };
        let position = looking.cursor(SSH).and_then(Position::read).unwrap_or_else(begun);
        let (share, since) = share(looking, users.len(), &position, now);
        let id = |number: UserNo| users.get(number).map_or("", |user| user.id.as_str());
        let mut order: Vec<UserNo> = (0..users.len()).collect();
        order.sort_unstable_by_key(|number| id(*number));
        let start = order.partition_point(|number| id(*number) <= position.after.as_str());
        order.rotate_left(start);
        order.truncate(share);
        let after = order.last().map_or(position.after, |number| id(*number).to_owned());
        Self { order, next: Position { since, after } }
    }

    /// Those of the round that are among `silent`, as a listing of keys wants them.
    pub(super) fn among(&self, silent: &[UserNo]) -> Vec<(UserNo, u64)> {
        let silent: HashSet<UserNo> = silent.iter().copied().collect();
        self.order.iter().filter(|number| silent.contains(number)).map(|number| (*number, 0)).collect()
    }

    /// Looks at what else these users have.
    pub(super) async fn turn(&self, looking: &Looking<'_>, users: &Users, to: &mut Emitter) -> Result<(), Stopped> {
        let ssh = Sweep { looking, users, path: SSH, operation: "iam:ListSSHPublicKeys" };
        ssh.each(&self.order, self.next.cursor(), to).await?;
        let certificates = Sweep { looking, users, path: CERTIFICATES, operation: "iam:ListSigningCertificates" };
        certificates.each(&self.order, self.next.cursor(), to).await
    }
}

/// How many users are due, and since when the next share grows.
fn share(looking: &Looking<'_>, users: usize, position: &Position, now: Time) -> (usize, Time) {
    if looking.known.sweep_now {
        return (users, now);
    }
    let passed = (now - position.since).as_micros().max(0) as f64 / 1e6;
    let due = users as f64 * passed / looking.sweep_every.as_secs_f64().max(1.0);
    if due < 1.0 { (0, position.since) } else { ((due as usize).min(users), now) }
}

impl Position {
    fn read(cursor: &Cursor) -> Option<Self> {
        let (since, after) = cursor.0.split_first_chunk::<8>()?;
        let after = String::from_utf8(after.to_vec()).ok()?;
        Some(Self { since: Time::from_micros(i64::from_be_bytes(*since)), after })
    }

    fn cursor(&self) -> Cursor {
        let mut bytes = self.since.as_micros().to_be_bytes().to_vec();
        bytes.extend_from_slice(self.after.as_bytes());
        Cursor(bytes)
    }
}

struct Sweep<'a> {
    looking: &'a Looking<'a>,
    users: &'a Users,
    path: &'static str,
    operation: &'static str,
}

impl Sweep<'_> {
    /// Looks at those users one after the other, each a part of the scope.
    async fn each(&self, order: &[UserNo], next: Cursor, to: &mut Emitter) -> Result<(), Stopped> {
        let realm = self.looking.realm;
        let scope = Scope::new(realm.clone(), self.path);
        let mut begun = false;
        for number in order {
            let Some(user) = self.users.get(*number) else { continue };
            let found = match self.look(user).await {
                Ok(found) => found,
                Err(failure) if failure.code == "NoSuchEntity" => continue,
                Err(failure) => return lists::failed(&scope, self.operation, &failure, to).await,
            };
            if !begun {
                to.begin(&scope, None).await?;
                begun = true;
            }
            let as_of = to.now();
            let identity = Key::new(realm.clone(), Kind::User, user.id.as_str());
            for entity in found {
                to.see(&scope, Some(&user.id), as_of, entity.of(identity.clone())).await?;
            }
            to.cover(&scope, Some(&user.id), as_of, Cover::Full { next: None, atomic: true }).await?;
            super::count(self.looking.session, to).await?;
        }
        if !begun {
            to.begin(&scope, None).await?;
        }
        let now = to.now();
        to.cover(&scope, None, now, Cover::Delta { next }).await
    }
}

impl Sweep<'_> {
    async fn look(&self, user: &User) -> Result<Vec<Entity>, Failure> {
        let (session, realm) = (self.looking.session, self.looking.realm);
        match self.path {
            SSH => ssh_keys(session, realm, user).await,
            _ => signing_certificates(session, realm, user).await,
        }
    }
}

async fn ssh_keys(session: &Session, realm: &Realm, user: &User) -> Result<Vec<Entity>, Failure> {
    let operation = "iam:ListSSHPublicKeys";
    let found = paged(operation, session, |marker| async move {
        let call = || session.sweeping.list_ssh_public_keys().user_name(&user.name).set_marker(marker.clone()).send();
        let page = session.ask(operation, call).await?;
        Ok((page.ssh_public_keys.unwrap_or_default(), page.marker.filter(|_| page.is_truncated)))
    })
    .await?;
    let entity = |it: aws_sdk_iam::types::SshPublicKeyMetadata| {
        let key = Key::new(realm.clone(), Kind::SshKey, it.ssh_public_key_id.as_str());
        Entity::new(key, it.ssh_public_key_id.as_str())
            .with(field::KEY_ID, it.ssh_public_key_id)
            .with(field::STATUS, status(&it.status))
            .with(field::CREATED_AT, time(it.upload_date))
            .with(field::EXPIRES_AT, Reading::NotReported)
            .with(field::LAST_USED_AT, Reading::NotReported)
    };
    Ok(found.into_iter().map(entity).collect())
}

async fn signing_certificates(session: &Session, realm: &Realm, user: &User) -> Result<Vec<Entity>, Failure> {
    let operation = "iam:ListSigningCertificates";
    let found = paged(operation, session, |marker| async move {
        let call =
            || session.sweeping.list_signing_certificates().user_name(&user.name).set_marker(marker.clone()).send();
        let page = session.ask(operation, call).await?;
        Ok((page.certificates, page.marker.filter(|_| page.is_truncated)))
    })
    .await?;
    let entity = |it: aws_sdk_iam::types::SigningCertificate| {
        let key = Key::new(realm.clone(), Kind::Certificate, it.certificate_id.as_str());
        let mut entity = Entity::new(key, it.certificate_id.as_str())
            .with(field::KEY_ID, it.certificate_id)
            .with(field::STATUS, status(&it.status))
            .with(field::CREDENTIAL_TYPE, "signing_certificate".to_owned())
            .with(field::LAST_USED_AT, Reading::NotReported);
        set(&mut entity, field::EXPIRES_AT, expiry(&it.certificate_body));
        if let Some(uploaded) = it.upload_date.map(time) {
            entity.facts.set(field::CREATED_AT, uploaded);
            // The report knows it by one of its two slots and that date.
            for slot in [1, 2] {
                entity.aliases.push(rows::certificate_alias(&user.id, slot, uploaded));
            }
        }
        entity
    };
    Ok(found.into_iter().map(entity).collect())
}

/// When a certificate in PEM ends.
fn expiry(pem: &str) -> Option<Time> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let certificate = pem.parse_x509().ok()?;
    Some(Time::from_seconds(certificate.validity().not_after.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_cursor() {
        let position = Position { since: Time::from_seconds(7), after: "AIDAX".into() };
        let back = Position::read(&position.cursor()).unwrap();
        assert_eq!((back.since, back.after.as_str()), (Time::from_seconds(7), "AIDAX"));
        assert!(Position::read(&Cursor(vec![1])).is_none());
    }
}
