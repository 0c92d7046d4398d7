//! Users, roles, groups and policies, from GetAccountAuthorizationDetails.
//! It must never take a short page for the last one: only IsTruncated says that there is no more.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use aws_sdk_iam::operation::get_account_authorization_details::GetAccountAuthorizationDetailsOutput as Page;
use aws_sdk_iam::types::{
    AttachedPermissionsBoundary, AttachedPolicy, EntityType, GroupDetail, ManagedPolicyDetail, PolicyDetail,
    RoleDetail, Tag, UserDetail,
};
use provost_client::Failure;
use provost_model::{Cover, Entity, Key, Kind, Reading, Realm, Scope, Span, Status, Time, Why, field};
use sha2::{Digest, Sha256};

use super::{
    advisor::Candidate,
    beside::{AT_ONCE, Beside},
    eyes::Who,
    nature,
    people::{User, Users},
    policy::{self, Chains, Document, Named, Outsiders, Summary, Trust, Trusts, Verdict},
    session::{Session, stopped},
};
use crate::{Emitter, Stopped};

const OPERATION: &str = "iam:GetAccountAuthorizationDetails";
/// Most elements of a page; pages may hold fewer.
const PAGE: i32 = 1000;
/// Most pages of one listing: an endpoint that never ends would be listed for ever.
const PAGES_MAX: usize = 10_000;
/// Uses of roles are kept for at least 400 days (IAM User Guide, "last accessed information").
const ROLE_USE_KEPT: Span = Span::days(400);
/// What is listed first, and what then.
const FIRST: [EntityType; 3] = [EntityType::LocalManagedPolicy, EntityType::AwsManagedPolicy, EntityType::Group];
const THEN: [EntityType; 2] = [EntityType::User, EntityType::Role];
/// Identities that may act as roles and are held until every role is known.
const CHAINED_MAX: usize = 20_000;
/// Different inline documents whose reading is kept.
const DOCUMENTS_MAX: usize = 4096;

/// The listing in progress.
pub(super) struct Authorization<'a> {
    session: &'a Session,
    scope: Scope,
    users: Users,
    policies: HashMap<String, (String, Option<Summary>)>,
    groups: HashMap<String, Policies>,
    documents: HashMap<u64, Option<Arc<Summary>>>,
    who: Who,
    could_write: Reading<Vec<String>>,
    /// Accounts that are no outsiders.
    own: &'a BTreeSet<String>,
    /// Who may act as the roles met so far.
    trusts: Trusts,
    /// The time of the answers told last.
    as_of: Time,
    /// Those whose use of their rights is asked for, and the ids of all roles.
    candidates: Vec<Candidate>,
    roles: HashSet<String>,
    /// Those that may act as roles, until every role is known.
    chained: Vec<(Entity, Chains)>,
    /// What the report has of users that are told.
    beside: Option<Beside<'a>>,
}

/// What the listing gave, beside what it said.
pub(super) struct Listed {
    pub(super) users: Users,
    /// Why it is not complete.
    pub(super) failure: Option<Failure>,
    /// What the one who looks could do beyond reading.
    pub(super) could_write: Reading<Vec<String>>,
    /// Identities whose rights lead far.
    pub(super) candidates: Vec<Candidate>,
    /// Unique ids of the roles met.
    pub(super) roles: HashSet<String>,
}

/// The policies of a user, group or role.
struct Policies {
    /// ARNs of attached ones.
    attached: Vec<String>,
    /// Names of those written into it, with what their document gives.
    inline: Vec<(String, Option<Arc<Summary>>)>,
}

impl<'a> Authorization<'a> {
    pub(super) fn new(session: &'a Session, realm: &Realm, who: Who, own: &'a BTreeSet<String>) -> Self {
        let could_write = who.at_once();
        Self {
            session,
            scope: Scope::new(realm.clone(), "iam/authorization"),
            users: Users::default(),
            policies: HashMap::new(),
            groups: HashMap::new(),
            documents: HashMap::new(),
            who,
            could_write,
            own,
            trusts: Trusts::default(),
            as_of: Time::default(),
            candidates: Vec::new(),
            roles: HashSet::new(),
            chained: Vec::new(),
            beside: None,
        }
    }

    /// The same, with what the report has of users told beside them.
    pub(super) fn beside(self, report: Beside<'a>) -> Self {
        Self { beside: Some(report), ..self }
    }

    /// Lists everything and says it. Gives the users met, complete or not, and what the one who looks could write.
    pub(super) async fn list(mut self, to: &mut Emitter) -> Result<Listed, Stopped> {
        to.begin(&self.scope.clone(), None).await?;
        // Policies and groups first: whether a user is an administrator follows from them.
        for filter in [FIRST.as_slice(), THEN.as_slice()] {
            if let Some(failure) = self.pages(filter, to).await? {
                self.tell_chained(false, to).await?;
                to.partial(&self.scope, failure.why, failure.to_string()).await?;
                return Ok(self.listed(Some(failure)));
            }
        }
        self.users.complete = true;
        self.tell_chained(true, to).await?;
        let now = to.now();
        to.cover(&self.scope, None, now, Cover::Full { next: None, atomic: false }).await?;
        Ok(self.listed(None))
    }

    /// Reads without saying anything until the one who looks is found, to learn what it could write.
    pub(super) async fn beyond_reading(mut self) -> Result<Reading<Vec<String>>, Failure> {
        if matches!(self.who, Who::Root | Who::Other) {
            return Ok(self.could_write);
        }
        for filter in [FIRST.as_slice(), THEN.as_slice()] {
            let mut marker: Option<String> = None;
            for _ in 0..PAGES_MAX {
                let page = ask(self.session, filter, marker.as_deref()).await?;
                let next = page.marker.clone().filter(|next| page.is_truncated && Some(next) != marker.as_ref());
                drop(self.entities(page, Time::default()));
                if next.is_none() || matches!(self.could_write, Reading::Known(_)) {
                    break;
                }
                marker = next;
            }
        }
        Ok(self.could_write)
    }

    fn listed(self, failure: Option<Failure>) -> Listed {
        let could_write = match (&self.could_write, &failure) {
            (Reading::NotCollected, Some(failure)) if failure.why == Why::Denied => Reading::NotPermitted,
            _ => self.could_write,
        };
        Listed { users: self.users, failure, could_write, candidates: self.candidates, roles: self.roles }
    }

    /// Every page of some kinds. While one page is told, the next is already asked for.
    async fn pages(&mut self, filter: &[EntityType], to: &mut Emitter) -> Result<Option<Failure>, Stopped> {
        let session = self.session;
        let mut page = match ask(session, filter, None).await {
            Ok(page) => page,
            Err(failure) => return Ok(Some(failure)),
        };
        let as_of = to.now();
        for _ in 0..PAGES_MAX {
            if !page.is_truncated {
                self.tell(page, as_of, to).await?;
                return Ok(None);
            }
            let Some(marker) = page.marker.take().filter(|marker| !marker.is_empty()) else {
                self.tell(page, as_of, to).await?;
                return Ok(Some(malformed("a page is cut short and names no next one")));
            };
            let (told, next) = tokio::join!(self.tell(page, as_of, to), ask(session, filter, Some(&marker)));
            told?;
            page = match next {
                Ok(next) => next,
                Err(failure) => return Ok(Some(failure)),
            };
            if page.marker.as_deref() == Some(marker.as_str()) {
                return Ok(Some(malformed("a page names itself as the next one")));
            }
        }
        Ok(Some(malformed("the listing does not end")))
    }

    async fn tell(&mut self, page: Page, as_of: Time, to: &mut Emitter) -> Result<(), Stopped> {
        let entities = self.entities(page, as_of);
        self.as_of = as_of;
        self.say(entities, to).await
    }

    /// Says these, a few at a time, and beside the users among them what the report has of them.
    async fn say(&mut self, entities: Vec<Entity>, to: &mut Emitter) -> Result<(), Stopped> {
        let mut entities = entities.into_iter();
        while entities.len() > 0 {
            let few: Vec<Entity> = entities.by_ref().take(AT_ONCE).collect();
            let users = few.iter().filter(|it| it.key.kind == Kind::User);
            let names: Vec<String> = users.filter_map(|it| it.facts.get(field::NAME).known()).collect();
            let reported = match &self.beside {
                Some(beside) if !names.is_empty() => beside.report(names.len(), to).await?,
                _ => None,
            };
            for entity in few {
                to.see(&self.scope, None, self.as_of, entity).await?;
            }
            if let Some((beside, report)) = self.beside.as_mut().zip(reported) {
                beside.tell(&report, (&names, &mut self.users), to).await?;
            }
        }
        Ok(())
    }

    /// Tells those that may act as roles, with the roles if all of them are known.
    async fn tell_chained(&mut self, all: bool, to: &mut Emitter) -> Result<(), Stopped> {
        let mut entities = Vec::with_capacity(self.chained.len());
        for (mut entity, chains) in std::mem::take(&mut self.chained) {
            if let (true, Some(arn)) = (all, entity.facts.get(field::ARN).known()) {
                entity.facts.set(field::ASSUMES, chains.roles(&arn, &self.trusts));
            }
            entities.push(entity);
        }
        self.say(entities, to).await
    }

    /// Holds back one that may act as roles, as long as there is room; it is told at once else, without its roles.
    fn held(&mut self, mut entity: Entity, chains: Option<Chains>) -> Option<Entity> {
        match chains {
            Some(chains) if self.chained.len() < CHAINED_MAX => {
                self.chained.push((entity, chains));
                return None;
            }
            Some(_) => {}
            None => entity.facts.set(field::ASSUMES, Vec::new()),
        }
        Some(entity)
    }

    /// What is on a page, policies and groups before those that have them.
    fn entities(&mut self, page: Page, as_of: Time) -> Vec<Entity> {
        let mut all = Vec::new();
        all.extend(page.policies.unwrap_or_default().into_iter().filter_map(|it| self.policy(it)));
        all.extend(page.group_detail_list.unwrap_or_default().into_iter().filter_map(|it| self.group(it)));
        all.extend(page.user_detail_list.unwrap_or_default().into_iter().filter_map(|it| self.user(it, as_of)));
        all.extend(page.role_detail_list.unwrap_or_default().into_iter().filter_map(|it| self.role(it, as_of)));
        all
    }

    /// A policy of the account, or one of AWS that something in the account uses.
    fn policy(&mut self, detail: ManagedPolicyDetail) -> Option<Entity> {
        let (arn, name) = (detail.arn?, detail.policy_name.unwrap_or_default());
        let versions = detail.policy_version_list.unwrap_or_default();
        let document =
            versions.into_iter().find(|version| version.is_default_version).and_then(|version| version.document);
        let summary = document.as_deref().and_then(summary);
        self.policies.insert(arn.clone(), (name.clone(), summary));
        let uses = detail.attachment_count.unwrap_or(0) + detail.permissions_boundary_usage_count.unwrap_or(0);
        if arn.contains(":aws:policy/") && uses == 0 {
            return None;
        }
        let mut entity = self.entity(Kind::Policy, arn.clone(), name).with(field::ARN, arn);
        set(&mut entity, field::PATH, detail.path);
        set(&mut entity, field::DESCRIPTION, detail.description);
        set(&mut entity, field::CREATED_AT, detail.create_date.map(time));
        set(&mut entity, field::MODIFIED_AT, detail.update_date.map(time));
        set(&mut entity, field::ATTACHMENT_COUNT, detail.attachment_count.map(i64::from));
        set(&mut entity, field::POLICY_DIGEST, document.map(|text| hex::encode(Sha256::digest(text.as_bytes()))));
        Some(entity)
    }

    fn group(&mut self, detail: GroupDetail) -> Option<Entity> {
        let (id, name) = (detail.group_id?, detail.group_name?);
        let policies = self.policies_of(detail.attached_managed_policies, detail.group_policy_list);
        let mut entity = self.entity(Kind::Group, id, name.clone()).with(field::STATUS, Status::Active);
        set(&mut entity, field::ARN, detail.arn);
        set(&mut entity, field::PATH, detail.path);
        set(&mut entity, field::CREATED_AT, detail.create_date.map(time));
        policies.say(&mut entity);
        self.groups.insert(name, policies);
        Some(entity)
    }

    fn user(&mut self, detail: UserDetail, as_of: Time) -> Option<Entity> {
        let (id, name) = (detail.user_id?, detail.user_name?);
        let groups = detail.group_list.unwrap_or_default();
        let policies = self.policies_of(detail.attached_managed_policies, detail.user_policy_list);
        let created = detail.create_date.map(time);
        let tags = pairs(detail.tags);
        let mut entity = self.entity(Kind::User, id.clone(), name.clone()).with(field::STATUS, Status::Active);
        set(&mut entity, field::ARN, detail.arn.clone());
        set(&mut entity, field::PATH, detail.path.clone());
        set(&mut entity, field::CREATED_AT, created);
        policies.say(&mut entity);
        let boundary = boundary_arn(detail.permissions_boundary);
        if self.who.is_user(detail.arn.as_deref()) {
            self.could_write = self.writes(&policies, &groups, boundary.as_deref());
            entity.facts.set(field::LOOKED_BY, true);
        }
        self.verdict(&policies, &groups, boundary.as_deref()).say(&mut entity);
        let chains = self.rights(&policies, &groups, boundary.as_deref(), &mut entity);
        let since = role_usage_since(created, as_of);
        self.consider(&entity, since);
        set(&mut entity, field::PERMISSIONS_BOUNDARY, boundary);
        let entity = entity.with(field::GROUPS, groups).with(field::TAGS, tag_map(&tags));
        let (arn, path) = (detail.arn.unwrap_or_default(), detail.path.unwrap_or_default());
        self.users.add(User { id, name, arn, path, created, tags, reported: false });
        self.held(entity, chains)
    }

    fn role(&mut self, detail: RoleDetail, as_of: Time) -> Option<Entity> {
        let (id, name) = (detail.role_id?, detail.role_name?);
        let policies = self.policies_of(detail.attached_managed_policies, detail.role_policy_list);
        let created = detail.create_date.map(time);
        let tags = pairs(detail.tags);
        let document = detail.assume_role_policy_document.as_deref().and_then(|text| Document::parse(text).ok());
        let trust = document.as_ref().map(Trust::of);
        let path = detail.path.unwrap_or_default();
        let (nature, because) = nature::of_role(&name, &path, trust.as_ref(), &tags);
        let profiles = detail.instance_profile_list.unwrap_or_default();
        let profiles: Vec<String> = profiles.into_iter().map(|profile| profile.arn).collect();
        let is_own = self.who.is_role(&name);
        let mut entity = self.entity(Kind::Role, id, name).with(field::STATUS, Status::Active);
        set(&mut entity, field::ARN, detail.arn);
        set(&mut entity, field::CREATED_AT, created);
        set(&mut entity, field::TRUSTED_PRINCIPALS, document.as_ref().map(policy::trusted_principals));
        self.trust(document.as_ref(), &mut entity);
        policies.say(&mut entity);
        let boundary = boundary_arn(detail.permissions_boundary);
        if is_own {
            self.could_write = self.writes(&policies, &[], boundary.as_deref());
            entity.facts.set(field::LOOKED_BY, true);
        }
        self.verdict(&policies, &[], boundary.as_deref()).say(&mut entity);
        let chains = self.rights(&policies, &[], boundary.as_deref(), &mut entity);
        let since = role_usage_since(created, as_of);
        self.consider(&entity, since);
        self.roles.insert(entity.key.external.clone());
        set(&mut entity, field::PERMISSIONS_BOUNDARY, boundary);
        let used = detail.role_last_used.unwrap_or_else(|| aws_sdk_iam::types::RoleLastUsed::builder().build());
        set(&mut entity, field::LAST_USED_REGION, used.region);
        let last_used = used.last_used_date.map_or(Reading::Never, |at| Reading::Known(time(at)));
        let entity = entity
            .with(field::PATH, path)
            .with(field::TAGS, tag_map(&tags))
            .with(field::INSTANCE_PROFILES, profiles)
            .with(field::NATURE, nature.word().to_owned())
            .with(field::NATURE_BECAUSE, because)
            .with(field::USAGE_SINCE, since)
            .with(field::LAST_USED_AT, last_used);
        self.held(entity, chains)
    }

    /// What the trust policy of a role says of outsiders, and of those who may act as it.
    fn trust(&mut self, document: Option<&Document>, entity: &mut Entity) {
        let Some(outsiders) = document.map(|document| Outsiders::of(document, self.own)) else { return };
        if let Some(arn) = entity.facts.get(field::ARN).known() {
            self.trusts.note(&arn, &outsiders);
        }
        let required = outsiders.external_id_required.map_or(Reading::NotReported, Reading::Known);
        entity.facts.set(field::EXTERNAL_ACCOUNTS, outsiders.accounts.into_iter().collect::<Vec<_>>());
        entity.facts.set(field::EXTERNAL_ID_REQUIRED, required);
        entity.facts.set(field::OIDC_LOOSE, outsiders.loose.into_iter().collect::<Vec<_>>());
    }

    /// By which ways an identity could give itself more rights, and what it may act as.
    fn rights(&self, own: &Policies, groups: &[String], boundary: Option<&str>, entity: &mut Entity) -> Option<Chains> {
        let (policies, boundary) = (self.all_of(own, groups), boundary.map(|arn| self.managed(arn, None)));
        let ways = policy::escalates(&policies, boundary);
        entity.facts.set(field::ESCALATES, ways.map_or(Reading::NotCollected, Reading::Known));
        Chains::of(&policies, boundary)
    }

    /// Remembers an identity whose rights lead far.
    fn consider(&mut self, entity: &Entity, since: Time) {
        let escalates = entity.facts.get(field::ESCALATES).known().is_some_and(|ways| !ways.is_empty());
        let leads_far = escalates || entity.facts.get(field::ADMIN) == Reading::Known(true);
        // Roles that belong to a service are the service's business.
        let arn = entity.facts.get(field::ARN).known().filter(|arn| !arn.contains(":role/aws-service-role/"));
        if let (true, Some(arn), Reading::Known(name)) = (leads_far, arn, entity.facts.get(field::NAME)) {
            self.candidates.push(Candidate { key: entity.key.clone(), name, arn, since });
        }
    }

    fn entity(&self, kind: Kind, external: String, name: String) -> Entity {
        Entity::new(Key::new(self.scope.realm.clone(), kind, external), name)
    }

    fn policies_of(&mut self, attached: Option<Vec<AttachedPolicy>>, inline: Option<Vec<PolicyDetail>>) -> Policies {
        let attached = attached.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_arn).collect();
        let mut named = Vec::new();
        for policy in inline.unwrap_or_default() {
            let text = policy.policy_document.unwrap_or_default();
            let digest = digest(&text);
            if self.documents.len() >= DOCUMENTS_MAX && !self.documents.contains_key(&digest) {
                self.documents.clear();
            }
            let summary = self.documents.entry(digest).or_insert_with(|| summary(&text).map(Arc::new)).clone();
            named.push((policy.policy_name.unwrap_or_default(), summary));
        }
        Policies { attached, inline: named }
    }

    /// Whether these policies, with those of the groups, make an administrator.
    fn verdict(&self, own: &Policies, groups: &[String], boundary: Option<&str>) -> Verdict {
        policy::admin(&self.all_of(own, groups), boundary.map(|arn| self.managed(arn, None)))
    }

    /// What these policies, with those of the groups, allow beyond reading.
    fn writes(&self, own: &Policies, groups: &[String], boundary: Option<&str>) -> Reading<Vec<String>> {
        let words = policy::writes(&self.all_of(own, groups), boundary.map(|arn| self.managed(arn, None)));
        words.map_or(Reading::NotCollected, Reading::Known)
    }

    fn all_of<'p>(&'p self, own: &'p Policies, groups: &'p [String]) -> Vec<Named<'p>> {
        let mut named = Vec::new();
        self.named(own, None, &mut named);
        for group in groups {
            match self.groups.get(group) {
                Some(policies) => self.named(policies, Some(group.as_str()), &mut named),
                None => named.push(Named {
                    policy: "policies of an unlisted group",
                    inline: false,
                    group: Some(group),
                    summary: None,
                }),
            }
        }
        named
    }

    fn named<'p>(&'p self, policies: &'p Policies, group: Option<&'p str>, into: &mut Vec<Named<'p>>) {
        into.extend(policies.attached.iter().map(|arn| self.managed(arn, group)));
        into.extend(policies.inline.iter().map(|(name, summary)| Named {
            policy: name,
            inline: true,
            group,
            summary: summary.as_deref(),
        }));
    }

    fn managed<'p>(&'p self, arn: &'p str, group: Option<&'p str>) -> Named<'p> {
        let (name, summary) = self.policies.get(arn).map_or((arn, None), |(name, it)| (name.as_str(), it.as_ref()));
        Named { policy: name, inline: false, group, summary }
    }
}

impl Policies {
    fn say(&self, entity: &mut Entity) {
        entity.facts.set(field::POLICIES, self.attached.clone());
        entity.facts.set(field::INLINE_POLICIES, self.inline.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    }
}

impl Verdict {
    fn say(self, entity: &mut Entity) {
        entity.facts.set(field::ADMIN, self.admin);
        entity.facts.set(field::ADMIN_BECAUSE, self.because);
        let not_evaluated: Vec<String> = self.not_evaluated.into_iter().map(|it| it.into_owned()).collect();
        entity.facts.set(field::NOT_EVALUATED, not_evaluated);
    }
}

async fn ask(session: &Session, filter: &[EntityType], marker: Option<&str>) -> Result<Page, Failure> {
    if session.is_stopping() {
        return Err(stopped(OPERATION));
    }
    let call = || {
        let request = session.iam.get_account_authorization_details().max_items(PAGE);
        request.set_filter(Some(filter.to_vec())).set_marker(marker.map(str::to_owned)).send()
    };
    session.ask(OPERATION, call).await
}

fn malformed(said: &str) -> Failure {
    Failure { operation: OPERATION.to_owned(), why: Why::Malformed, code: String::new(), said: said.to_owned() }
}

/// Since when a role's silence means something: its birth, or 400 days ago, moved to a grid of 30 days so that it does not
/// change with every run.
fn role_usage_since(created: Option<Time>, as_of: Time) -> Time {
    let kept = as_of - ROLE_USE_KEPT;
    let grid = Time::from_seconds((kept.day().div_euclid(30) + 1) * 30 * 86_400);
    created.filter(|created| *created >= kept).unwrap_or(grid)
}

fn summary(document: &str) -> Option<Summary> {
    Document::parse(document).ok().map(|document| Summary::of(&document))
}

fn digest(text: &str) -> u64 {
    Sha256::digest(text.as_bytes()).first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn boundary_arn(boundary: Option<AttachedPermissionsBoundary>) -> Option<String> {
    boundary.and_then(|boundary| boundary.permissions_boundary_arn)
}

fn pairs(tags: Option<Vec<Tag>>) -> Vec<(String, String)> {
    tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect()
}

pub(super) fn tag_map(tags: &[(String, String)]) -> BTreeMap<String, String> {
    tags.iter().cloned().collect()
}

/// Sets an attribute that the listing may leave out.
pub(super) fn set<T: field::Typed>(entity: &mut Entity, attr: provost_model::Attr<T>, value: Option<T>) {
    if let Some(value) = value {
        entity.facts.set(attr, value);
    }
}

/// The SDK's instant as ours.
pub(super) fn time(at: aws_smithy_types::DateTime) -> Time {
    let micros = at.secs().saturating_mul(1_000_000).saturating_add(i64::from(at.subsec_nanos() / 1_000));
    Time::from_micros(micros)
}
