//! Accounts that a database, LDAP or cloud engine keeps: those it rotates, and the roles by which it makes new ones.
//! It must never read credentials: only how a role is configured and when its password was last replaced.

use provost_client::{Ask, Failure};
use provost_model::{Entity, Kind, Reading, Span, Status, Time, Why, field};
use serde_json::Value;

use super::{
    place::{Mount, Place, date, length, text, texts, unless_nought},
    tell::{self, Found, Parts, buckets, chosen},
};
use crate::{Emitter, Stopped};

/// Parts of a listing.
const BUCKETS: u64 = 256;
/// How long after its time a rotation is looked for.
const GRACE: Span = Span::seconds(60);

/// What a sort of engine has under which path.
pub(super) struct Engine {
    sort: &'static str,
    fixed: [&'static str; 2],
    dynamic: [&'static str; 2],
    /// What a rotated account proves itself with.
    credential: Kind,
}

/// The engines, each with the listing and the reading of its roles.
const ENGINES: &[Engine] = &[
    Engine {
        sort: "database",
        fixed: ["LIST /v1/{mount}/static-roles", "GET /v1/{mount}/static-roles/{role}"],
        dynamic: ["LIST /v1/{mount}/roles", "GET /v1/{mount}/roles/{role}"],
        credential: Kind::Password,
    },
    Engine {
        sort: "ldap",
        fixed: ["LIST /v1/{mount}/static-role", "GET /v1/{mount}/static-role/{role}"],
        dynamic: ["LIST /v1/{mount}/role", "GET /v1/{mount}/role/{role}"],
        credential: Kind::Password,
    },
    Engine {
        sort: "openldap",
        fixed: ["LIST /v1/{mount}/static-role", "GET /v1/{mount}/static-role/{role}"],
        dynamic: ["LIST /v1/{mount}/role", "GET /v1/{mount}/role/{role}"],
        credential: Kind::Password,
    },
    Engine {
        sort: "aws",
        fixed: ["LIST /v1/{mount}/static-roles", "GET /v1/{mount}/static-roles/{role}"],
        dynamic: ["LIST /v1/{mount}/roles", "GET /v1/{mount}/roles/{role}"],
        credential: Kind::AccessKey,
    },
];
/// Live leases below a path; root-protected.
const LEASES: &str = "LIST /v1/sys/leases/lookup/{prefix...}";

/// The engine of that sort, if it keeps accounts.
pub(super) fn of(mount: &Mount) -> Option<&'static Engine> {
    ENGINES.iter().find(|it| it.sort == mount.sort)
}

/// Accounts that are rotated, then roles by which new ones are made.
pub(super) async fn all(
    place: &Place<'_>,
    (mount, engine): (&Mount, &Engine),
    to: &mut Emitter,
) -> Result<(), Stopped> {
    Box::pin(fixed(place, (mount, engine), to)).await?;
    Box::pin(dynamic(place, (mount, engine), to)).await
}

async fn fixed(place: &Place<'_>, (mount, engine): (&Mount, &Engine), to: &mut Emitter) -> Result<(), Stopped> {
    let [list, read] = engine.fixed;
    let scope = (place.scope(&format!("{}/{}/static-roles", engine.sort, mount.path)), Some(mount.key(place)));
    let roles = match place.list(Ask::list(list, &[&mount.path])).await {
        Ok(listed) => listed.keys,
        // Older servers have no such roles.
        Err(failure) if super::session::is_unsupported(&failure) => return Ok(()),
        Err(failure) => return tell::failed(place, (&scope.0, scope.1), &failure, to).await,
    };
    let parted = buckets("", (roles.into_iter().map(|role| (role, ())), BUCKETS), |_, ()| String::new());
    let mut parts = Parts::begin(place, scope.clone(), to).await?;
    let (wanted, lost) = chosen(&parts.ledger, "", parted, &place.turn(&scope.0));
    parts.vanish(lost, to).await?;
    let reader = |roles: Vec<(String, ())>| async move {
        let mut found = Found::default();
        for (role, ()) in roles {
            let told = match place.read::<Value>(Ask::get(read, &[&mount.path, &role])).await {
                Ok(None) => continue,
                Ok(Some(told)) => Some(told),
                Err(failure) if failure.why == Why::Denied => {
                    found.denied.get_or_insert(failure);
                    None
                }
                Err(failure) => return Err(failure),
            };
            let (account, credential, due) = account(place, (mount, engine), &role, told.as_ref());
            found.entities.extend([account, credential]);
            // Until then a new rotation can only come by hand; a sweep finds that.
            let again = due.map(|due| due + GRACE);
            found.changes_at = [found.changes_at, again].into_iter().flatten().min();
        }
        Ok(found)
    };
    parts.read(wanted, ("static roles", reader), to).await?;
    parts.end(to).await
}

/// The account of a static role, what it proves itself with, and when that is replaced next.
fn account(
    place: &Place<'_>,
    (mount, engine): (&Mount, &Engine),
    role: &str,
    told: Option<&Value>,
) -> (Entity, Entity, Option<Time>) {
    let external = mount.external(&format!("static-roles/{role}"));
    let path = mount.of(place, &format!("static-roles/{role}"));
    let identity = place.key(Kind::ServiceAccount, external.as_str());
    let account = Entity::new(identity.clone(), role)
        .within(mount.key(place))
        .with(field::PATH, path.clone())
        .with(field::CREDENTIAL_TYPE, format!("{}_static_role", engine.sort))
        .with(field::NATURE, "machine".to_owned())
        .with(field::NATURE_BECAUSE, "a secrets engine rotates its password".to_owned())
        .with(field::LAST_USED_AT, Reading::NotReported);
    let credential = Entity::new(place.key(engine.credential, external), role)
        .of(identity)
        .with(field::PATH, path)
        .with(field::STORE_KIND, format!("vault_{}", engine.sort))
        .with(field::EXPIRES_AT, Reading::NotReported)
        .with(field::CREATED_AT, Reading::NotReported)
        .with(field::LAST_USED_AT, Reading::NotReported);
    let Some(told) = told else {
        let hidden = |entity: Entity| {
            entity.with(field::USERNAME, Reading::NotPermitted).with(field::SERVICE, Reading::NotPermitted)
        };
        let credential = hidden(credential)
            .with(field::ROTATED_AT, Reading::NotPermitted)
            .with(field::ROTATION, Reading::NotPermitted)
            .with(field::ROTATION_PERIOD, Reading::NotPermitted)
            .with(field::ROTATION_DUE_AT, Reading::NotPermitted);
        return (hidden(account), credential, None);
    };
    let username = text(told.get("username")).map_or(Reading::NotReported, Reading::Known);
    let service = ["db_name", "dn"].iter().find_map(|it| text(told.get(*it))).unwrap_or_else(|| engine.sort.to_owned());
    let rotated = date(told.get("last_vault_rotation"));
    let period = length(told.get("rotation_period")).filter(|it| *it > 0);
    let schedule = text(told.get("rotation_schedule"));
    let due = rotated.zip(period).map(|(rotated, period)| rotated + Span::seconds(period));
    let on = period.is_some() || schedule.is_some();
    let credential = credential
        .with(field::USERNAME, username.clone())
        .with(field::SERVICE, service.clone())
        .with(field::STATUS, Status::Active)
        .with(field::ROTATED_AT, rotated.map_or(Reading::NotReported, Reading::Known))
        .with(field::ROTATION, if on { "on" } else { "off" }.to_owned())
        .with(field::ROTATION_DUE_AT, due.map_or(Reading::NotReported, Reading::Known))
        .with(
            field::ROTATION_PERIOD,
            match (period, schedule) {
                (Some(period), _) => Reading::Known(period),
                (None, Some(_)) => Reading::NotReported,
                (None, None) => Reading::Never,
            },
        );
    (account.with(field::USERNAME, username).with(field::SERVICE, service), credential, due)
}

async fn dynamic(place: &Place<'_>, (mount, engine): (&Mount, &Engine), to: &mut Emitter) -> Result<(), Stopped> {
    let [list, read] = engine.dynamic;
    let scope = (place.scope(&format!("{}/{}/roles", engine.sort, mount.path)), Some(mount.key(place)));
    let roles = match place.list(Ask::list(list, &[&mount.path])).await {
        Ok(listed) => listed.keys,
        Err(failure) if super::session::is_unsupported(&failure) => return Ok(()),
        Err(failure) => return tell::failed(place, (&scope.0, scope.1), &failure, to).await,
    };
    let parted = buckets("", (roles.into_iter().map(|role| (role, ())), BUCKETS), |_, ()| String::new());
    let mut parts = Parts::begin(place, scope.clone(), to).await?;
    let (wanted, lost) = chosen(&parts.ledger, "", parted, &place.turn(&scope.0));
    parts.vanish(lost, to).await?;
    let reader = |roles: Vec<(String, ())>| async move {
        let mut found = Found::default();
        for (role, ()) in roles {
            found.entities.extend(Box::pin(maker(place, (mount, engine), (&role, read), &mut found.denied)).await?);
        }
        Ok(found)
    };
    parts.read(wanted, ("roles of engines", reader), to).await?;
    parts.end(to).await
}

/// A role by which new accounts are made; `None` if it is gone since it was listed.
async fn maker(
    place: &Place<'_>,
    (mount, engine): (&Mount, &Engine),
    (role, read): (&str, &'static str),
    denied: &mut Option<Failure>,
) -> Result<Option<Entity>, Failure> {
    let mut entity = Entity::new(place.key(Kind::Role, mount.external(&format!("roles/{role}"))), role)
        .within(mount.key(place))
        .with(field::PATH, mount.of(place, &format!("roles/{role}")))
        .with(field::CREDENTIAL_TYPE, format!("{}_role", engine.sort))
        .with(field::LAST_USED_AT, Reading::NotReported);
    match place.read::<Value>(Ask::get(read, &[&mount.path, role])).await {
        Ok(None) => return Ok(None),
        Ok(Some(told)) => {
            let most = ["max_ttl", "max_sts_ttl"].iter().find_map(|it| length(told.get(*it)));
            entity.facts.set(field::LIFETIME, unless_nought(most));
            let service = text(told.get("db_name")).unwrap_or_else(|| engine.sort.to_owned());
            entity.facts.set(field::SERVICE, service);
            if let Some(arns) = told.get("role_arns") {
                entity.facts.set(field::ASSUMES, texts(Some(arns)));
            }
        }
        Err(failure) if failure.why == Why::Denied => {
            entity.facts.set(field::LIFETIME, Reading::NotPermitted);
            entity.facts.set(field::SERVICE, Reading::NotPermitted);
            denied.get_or_insert(failure);
        }
        Err(failure) => return Err(failure),
    }
    let prefix = format!("{}/creds/{role}", mount.path);
    let leases = match place.list(Ask::list(LEASES, &[&prefix])).await {
        Ok(listed) => Reading::Known(i64::try_from(listed.keys.len()).unwrap_or(i64::MAX)),
        Err(failure) if failure.why == Why::Denied => {
            denied.get_or_insert(failure);
            Reading::NotPermitted
        }
        Err(failure) => return Err(failure),
    };
    Ok(Some(entity.with(field::LEASES, leases)))
}
