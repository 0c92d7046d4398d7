//! The small listings of an account: certificates, identity providers, service-specific credentials; users if need be.
//! It must never let the failure of one of them touch another.

use std::{collections::HashSet, future::Future};

use aws_sdk_iam::types::{AssignmentStatusType, StatusType, VirtualMfaDevice};
use provost_client::Failure;
use provost_model::{Cover, Cursor, Entity, Key, Kind, Reading, Realm, Scope, Status, Trouble, Why, field};

use super::{
    authorization::{set, tag_map, time},
    look::Looking,
    people::{User, Users},
    rows,
    session::{Session, stopped},
    spec::SPEC,
};
use crate::{Emitter, Stopped};

const SECOND_FACTORS: &str = "iam:ListVirtualMFADevices";
/// Most elements of a page.
const PAGE: i32 = 1000;
/// Most pages of one listing.
const PAGES_MAX: usize = 10_000;

/// A page of a listing: what is on it, and where the next begins.
pub(super) type Page<T> = (Vec<T>, Option<String>);

/// Every small listing, each a scope of its own.
pub(super) async fn all(looking: &Looking<'_>, to: &mut Emitter) -> Result<(), Stopped> {
    let (session, realm) = (looking.session, looking.realm);
    let lists = Lists { session, realm };
    let found = lists.server_certificates().await;
    lists.say("iam/server-certificates", "iam:ListServerCertificates", found, to).await?;
    let found = lists.service_credentials().await;
    lists.say("iam/service-specific-credentials", "iam:ListServiceSpecificCredentials", found, to).await?;
    let found = lists.saml_providers().await;
    lists.say("iam/saml-providers", "iam:ListSAMLProviders", found, to).await?;
    lists.oidc_providers(looking, to).await
}

/// Users by the plain listing, for an account whose authorization details cannot be had. Tags and rights stay unknown.
pub(super) async fn users(session: &Session, realm: &Realm, seen: Users, to: &mut Emitter) -> Result<Users, Stopped> {
    let scope = plain_users(realm);
    to.begin(&scope, None).await?;
    let answer = paged("iam:ListUsers", session, |marker| async move {
        let call = || session.iam.list_users().max_items(PAGE).set_marker(marker.clone()).send();
        let page = session.ask("iam:ListUsers", call).await?;
        Ok((page.users, page.marker.filter(|_| page.is_truncated)))
    })
    .await;
    let (found, failure) = match answer {
        Ok(found) => (found, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    if let Some(failure) = failure {
        to.partial(&scope, failure.why, failure.to_string()).await?;
        return Ok(seen);
    }
    let mut users = Users::default();
    for it in found {
        let created = time(it.create_date);
        let entity = Entity::new(Key::new(realm.clone(), Kind::User, it.user_id.as_str()), it.user_name.as_str())
            .with(field::ARN, it.arn.clone())
            .with(field::PATH, it.path.clone())
            .with(field::CREATED_AT, created)
            .with(field::STATUS, Status::Active)
            .with(field::TAGS, Reading::NotPermitted);
        let now = to.now();
        to.see(&scope, None, now, entity).await?;
        let tags = seen.named(&it.user_name).map(|(_, user)| user.tags.clone()).unwrap_or_default();
        users.add(User {
            id: it.user_id,
            name: it.user_name,
            arn: it.arn,
            path: it.path,
            created: Some(created),
            tags,
            reported: false,
        });
    }
    users.complete = true;
    let now = to.now();
    to.cover(&scope, None, now, Cover::Full { next: None, atomic: false }).await?;
    Ok(users)
}

/// Which users have a virtual second factor, for an account whose report cannot be had. A user that is not listed may have
/// one of another sort, so nothing is said of it. Root is left to the report.
pub(super) async fn second_factors(looking: &Looking<'_>, users: &Users, to: &mut Emitter) -> Result<(), Stopped> {
    let (session, realm) = (looking.session, looking.realm);
    let found = paged(SECOND_FACTORS, session, |marker| async move {
        let request = session.iam.list_virtual_mfa_devices().assignment_status(AssignmentStatusType::Assigned);
        let call = || request.clone().max_items(PAGE).set_marker(marker.clone()).send();
        let page = session.ask(SECOND_FACTORS, call).await?;
        Ok((page.virtual_mfa_devices, page.marker.filter(|_| page.is_truncated)))
    })
    .await;
    let owner = |device: VirtualMfaDevice| device.user.map(|user| user.user_id);
    let found = found.map(|all| {
        let owners: HashSet<String> = all.into_iter().filter_map(owner).collect();
        let every = (0..users.len()).filter_map(|number| users.get(number));
        every.map(|user| rows::second_factor(realm, &user.id, owners.contains(&user.id))).collect()
    });
    Lists { session, realm }.say(&second_factors_scope(realm).path, SECOND_FACTORS, found, to).await
}

/// The scope of the listing of second factors.
pub(super) fn second_factors_scope(realm: &Realm) -> Scope {
    Scope::new(realm.clone(), "iam/virtual-mfa-devices")
}

/// The scope of the plain listing of users.
pub(super) fn plain_users(realm: &Realm) -> Scope {
    Scope::new(realm.clone(), "iam/users")
}

/// All pages of a listing.
pub(super) async fn paged<T, F, A>(operation: &'static str, session: &Session, page: F) -> Result<Vec<T>, Failure>
where
    F: Fn(Option<String>) -> A,
    A: Future<Output = Result<Page<T>, Failure>>,
{
    let mut all = Vec::new();
    let mut marker = None;
    for _ in 0..PAGES_MAX {
        if session.is_stopping() {
            return Err(stopped(operation));
        }
        let (found, next) = page(marker.clone()).await?;
        all.extend(found);
        match next {
            None => return Ok(all),
            Some(next) if Some(&next) == marker.as_ref() => break,
            next => marker = next,
        }
    }
    let said = "the listing does not end".to_owned();
    Err(Failure { operation: operation.to_owned(), why: Why::Malformed, code: String::new(), said })
}

/// Says what went wrong with a listing: a blind spot where its permission is optional and denied.
pub(super) async fn failed(scope: &Scope, operation: &str, failure: &Failure, to: &mut Emitter) -> Result<(), Stopped> {
    if failure.why == Why::Denied && SPEC.may_lack(operation) {
        let place = operation.to_owned();
        return to.trouble(Trouble { place, why: Why::Denied, said: failure.said.clone(), blind_spot: true }).await;
    }
    to.begin(scope, None).await?;
    to.partial(scope, failure.why, failure.to_string()).await
}

struct Lists<'a> {
    session: &'a Session,
    realm: &'a Realm,
}

impl Lists<'_> {
    async fn say(
        &self,
        path: &str,
        operation: &str,
        found: Result<Vec<Entity>, Failure>,
        to: &mut Emitter,
    ) -> Result<(), Stopped> {
        super::count(self.session, to).await?;
        let scope = Scope::new(self.realm.clone(), path);
        let found = match found {
            Ok(found) => found,
            Err(failure) => return failed(&scope, operation, &failure, to).await,
        };
        to.begin(&scope, None).await?;
        let now = to.now();
        for entity in found {
            to.see(&scope, None, now, entity).await?;
        }
        to.cover(&scope, None, now, Cover::Full { next: None, atomic: false }).await
    }

    async fn server_certificates(&self) -> Result<Vec<Entity>, Failure> {
        let (session, operation) = (self.session, "iam:ListServerCertificates");
        let found = paged(operation, session, |marker| async move {
            let call = || session.iam.list_server_certificates().max_items(PAGE).set_marker(marker.clone()).send();
            let page = session.ask(operation, call).await?;
            Ok((page.server_certificate_metadata_list, page.marker.filter(|_| page.is_truncated)))
        })
        .await?;
        let entity = |it: aws_sdk_iam::types::ServerCertificateMetadata| {
            let key = Key::new(self.realm.clone(), Kind::Certificate, it.server_certificate_id);
            let mut entity = Entity::new(key, it.server_certificate_name)
                .with(field::ARN, it.arn)
                .with(field::PATH, it.path)
                .with(field::CREDENTIAL_TYPE, "server_certificate".to_owned())
                .with(field::LAST_USED_AT, Reading::NotReported);
            set(&mut entity, field::CREATED_AT, it.upload_date.map(time));
            set(&mut entity, field::EXPIRES_AT, it.expiration.map(time));
            entity.with(field::STATUS, Status::Active)
        };
        Ok(found.into_iter().map(entity).collect())
    }

    async fn service_credentials(&self) -> Result<Vec<Entity>, Failure> {
        let (session, operation) = (self.session, "iam:ListServiceSpecificCredentials");
        let found = paged(operation, session, |marker| async move {
            let call = || {
                let request = session.iam.list_service_specific_credentials().all_users(true).max_items(PAGE);
                request.set_marker(marker.clone()).send()
            };
            let page = session.ask(operation, call).await?;
            let next = page.marker.filter(|_| page.is_truncated);
            Ok((page.service_specific_credentials.unwrap_or_default(), next))
        })
        .await?;
        // The listing names users, not their unique ids: a name may be born again, so the user is named as text only.
        let entity = |it: aws_sdk_iam::types::ServiceSpecificCredentialMetadata| {
            let key = Key::new(self.realm.clone(), Kind::ServiceSpecificCredential, it.service_specific_credential_id);
            Entity::new(key, it.service_user_name)
                .with(field::USERNAME, it.user_name)
                .with(field::SERVICE, it.service_name)
                .with(field::STATUS, status(&it.status))
                .with(field::CREATED_AT, time(it.create_date))
                .with(field::EXPIRES_AT, it.expiration_date.map_or(Reading::Never, |at| Reading::Known(time(at))))
                .with(field::LAST_USED_AT, Reading::NotReported)
        };
        Ok(found.into_iter().map(entity).collect())
    }

    async fn saml_providers(&self) -> Result<Vec<Entity>, Failure> {
        let answer =
            self.session.ask("iam:ListSAMLProviders", || self.session.iam.list_saml_providers().send()).await?;
        let entity = |it: aws_sdk_iam::types::SamlProviderListEntry| {
            let mut entity = self.provider(it.arn?, "saml");
            set(&mut entity, field::CREATED_AT, it.create_date.map(time));
            set(&mut entity, field::EXPIRES_AT, it.valid_until.map(time));
            Some(entity)
        };
        Ok(answer.saml_provider_list.unwrap_or_default().into_iter().filter_map(entity).collect())
    }

    /// Providers, and once in a while their audiences: those that stand in the cursor were asked for already.
    async fn oidc_providers(&self, looking: &Looking<'_>, to: &mut Emitter) -> Result<(), Stopped> {
        let (session, operation) = (self.session, "iam:ListOpenIDConnectProviders");
        let scope = Scope::new(self.realm.clone(), "iam/oidc-providers");
        let answer = session.ask(operation, || session.iam.list_open_id_connect_providers().send()).await;
        let arns: Vec<String> = match answer {
            Ok(answer) => answer
                .open_id_connect_provider_list
                .unwrap_or_default()
                .into_iter()
                .filter_map(|entry| entry.arn)
                .collect(),
            Err(failure) => return failed(&scope, operation, &failure, to).await,
        };
        to.begin(&scope, None).await?;
        let digest: Vec<u8> = arns.join("\n").into_bytes();
        let due = looking.known.full_due.contains(&scope.path);
        if !due && looking.cursor(&scope.path).is_some_and(|cursor| cursor.0 == digest) {
            let now = to.now();
            return to.cover(&scope, None, now, Cover::Unchanged { at: now }).await;
        }
        let mut failure = None;
        for arn in arns {
            let call = || session.iam.get_open_id_connect_provider().open_id_connect_provider_arn(arn.as_str()).send();
            let mut entity = self.provider(arn.clone(), "oidc");
            match session.ask("iam:GetOpenIDConnectProvider", call).await {
                Ok(it) => {
                    set(&mut entity, field::URL, it.url);
                    set(&mut entity, field::CLIENT_IDS, it.client_id_list);
                    set(&mut entity, field::CREATED_AT, it.create_date.map(time));
                    let tags: Vec<_> =
                        it.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
                    entity.facts.set(field::TAGS, tag_map(&tags));
                }
                Err(error) if error.why == Why::Denied => entity.facts.set(field::CLIENT_IDS, Reading::NotPermitted),
                Err(error) => drop(failure.get_or_insert(error)),
            }
            let now = to.now();
            to.see(&scope, None, now, entity).await?;
        }
        if let Some(failure) = failure {
            return to.partial(&scope, failure.why, failure.to_string()).await;
        }
        let now = to.now();
        to.cover(&scope, None, now, Cover::Full { next: Some(Cursor(digest)), atomic: true }).await
    }

    fn provider(&self, arn: String, sort: &str) -> Entity {
        let name = arn.split_once("-provider/").map_or(arn.as_str(), |(_, name)| name).to_owned();
        Entity::new(Key::new(self.realm.clone(), Kind::IdentityProvider, arn.as_str()), name)
            .with(field::ARN, arn)
            .with(field::CREDENTIAL_TYPE, sort.to_owned())
    }
}

/// The SDK's status as ours.
pub(super) fn status(said: &StatusType) -> Status {
    match said.as_str() {
        "Active" => Status::Active,
        "Inactive" => Status::Inactive,
        "Expired" => Status::Expired,
        _ => Status::Unknown,
    }
}
