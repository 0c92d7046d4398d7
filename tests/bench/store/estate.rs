//! An estate made of numbers: the same identities, credentials, grants and people at every run, one at a time, so that
//! any size costs no memory. It must never ask a clock or chance.

use std::collections::BTreeMap;

use provost_model::{Entity, Key, Kind, Reading, Realm, Scope, Span, Status, Time, field};

/// Identities of one scope.
pub(crate) const A_SCOPE: u64 = 5_000;
/// Identities of one source.
pub(crate) const A_SOURCE: u64 = 50_000;
/// The first day.
pub(crate) const DAWN: Time = Time::from_seconds(1_790_000_000);

/// An estate of so many identities, as it looks on one day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estate {
    /// Identities in all.
    pub(crate) identities: u64,
    /// Credentials of each.
    pub(crate) credentials: u64,
    /// Days since the first one: each day half of the credentials were used.
    pub(crate) day: u64,
    /// Identities that were given another name since the first day: the first so many.
    pub(crate) renamed: u64,
}

/// Which identities lie in one scope.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The scope.
    pub(crate) scope: Scope,
    first: u64,
    last: u64,
}

impl Estate {
    /// The estate on its first day.
    pub(crate) fn new(identities: u64, credentials: u64) -> Self {
        Self { identities, credentials, day: 0, renamed: 0 }
    }

    /// Names of its sources.
    pub(crate) fn sources(self) -> Vec<String> {
        (0..self.identities.div_ceil(A_SOURCE)).map(|number| format!("source-{number:03}")).collect()
    }

    /// The authority that a source meets.
    pub(crate) fn realm(source: u64) -> Realm {
        Realm::new("aws", &format!("{:012}", 100_000_000_000 + source))
    }

    /// The scopes of a source.
    pub(crate) fn parts(self, source: u64) -> Vec<Part> {
        let (first, last) = (source * A_SOURCE, self.identities.min((source + 1) * A_SOURCE));
        let begins = (first..last).step_by(usize::try_from(A_SCOPE).unwrap_or(1));
        let part = |(number, begin): (usize, u64)| Part {
            scope: Scope::new(Self::realm(source), format!("users/{number}")),
            first: begin,
            last: last.min(begin + A_SCOPE),
        };
        begins.enumerate().map(part).collect()
    }

    /// Everything in a scope, in the order in which a provider would list it.
    pub(crate) fn entities(self, part: &Part) -> impl Iterator<Item = Entity> + '_ {
        (part.first..part.last).flat_map(move |number| self.household(number))
    }

    /// The key of an identity, and of its first credential.
    pub(crate) fn keys(number: u64) -> (Key, Key) {
        let realm = Self::realm(number / A_SOURCE);
        let user = Key::new(realm.clone(), Kind::User, user_id(number));
        (user, Key::new(realm, Kind::AccessKey, key_id(number, 1)))
    }

    /// An identity with what belongs to it: its credentials, a grant for every fourth, a person for every twentieth.
    fn household(self, number: u64) -> Vec<Entity> {
        let realm = Self::realm(number / A_SOURCE);
        let user = Key::new(realm.clone(), Kind::User, user_id(number));
        let mut all = vec![self.identity(number, user.clone())];
        all.extend((1..=self.credentials).map(|slot| self.credential(number, slot, user.clone())));
        if number.is_multiple_of(4) {
            let key = Key::new(realm.clone(), Kind::OauthGrant, format!("grant-{:016x}", mixed(number, 5)));
            let grant = Entity::new(key, format!("ci runner {number}"))
                .of(user)
                .with(field::CREATED_AT, long_ago(number, 5))
                .with(field::CLIENT, "deploy-bot".to_owned())
                .with(field::TOOLS, vec!["repo:read".to_owned(), "packages:write".to_owned()]);
            all.push(grant);
        }
        if number.is_multiple_of(20) {
            let key = Key::new(realm, Kind::Person, mailbox(number));
            let person = Entity::new(key, format!("Person {number}"))
                .with(
                    field::STATUS,
                    if mixed(number, 6).is_multiple_of(50) { Status::Inactive } else { Status::Active },
                )
                .with(field::DESCRIPTION, format!("team-{:03}", mixed(number, 7) % 400));
            all.push(person);
        }
        all
    }

    fn identity(self, number: u64, key: Key) -> Entity {
        let (team, dice) = (format!("team-{:03}", mixed(number, 7) % 400), mixed(number, 1));
        let name = if number < self.renamed { format!("svc-{number}-v2") } else { format!("svc-{number}") };
        let mut tags = BTreeMap::from([("env".to_owned(), ["prod", "staging", "dev"][(dice % 3) as usize].to_owned())]);
        if dice % 10 != 0 {
            tags.insert("owner".to_owned(), mailbox(number - number % 20));
            tags.insert("team".to_owned(), team.clone());
        }
        Entity::new(key, name)
            .alias(format!("arn:aws:iam::{:012}:user/service/svc-{number}", 100_000_000_000 + number / A_SOURCE))
            .with(field::STATUS, Status::Active)
            .with(field::CREATED_AT, long_ago(number, 2))
            .with(field::PATH, "/service/".to_owned())
            .with(
                field::ARN,
                format!("arn:aws:iam::{:012}:user/service/svc-{number}", 100_000_000_000 + number / A_SOURCE),
            )
            .with(field::TAGS, tags)
            .with(field::GROUPS, vec![format!("{team}-deployers")])
            .with(field::POLICIES, vec![format!("arn:aws:iam::aws:policy/{}", POLICIES[(dice % 4) as usize])])
            .with(field::ADMIN, dice % 40 == 0)
            .with(field::MFA, false)
            .with(field::NATURE, "machine".to_owned())
    }

    fn credential(self, number: u64, slot: u64, user: Key) -> Entity {
        let dice = mixed(number, 10 + slot);
        let id = key_id(number, slot);
        let created = long_ago(number, 20 + slot);
        let used = if dice.is_multiple_of(12) { Reading::Never } else { Reading::Known(self.last_use(dice)) };
        Entity::new(Key::new(user.realm.clone(), Kind::AccessKey, id.clone()), id.clone())
            .of(user)
            .with(field::STATUS, if dice % 20 == 1 { Status::Inactive } else { Status::Active })
            .with(field::CREATED_AT, created)
            .with(field::ROTATED_AT, created)
            .with(field::LAST_USED_AT, used)
            .with(field::LAST_USED_SERVICE, SERVICES[(dice % 4) as usize].to_owned())
            .with(field::LAST_USED_REGION, "eu-central-1".to_owned())
            .with(field::EXPIRES_AT, Reading::NotReported)
            .with(field::USAGE_SINCE, created)
            .with(field::SLOT, if slot == 1 { 1 } else { 2 })
            .with(field::KEY_ID, id)
    }

    /// Each credential is used every second day, one half on the even days, the other on the odd ones; what is used was
    /// last used some time before the first day until then.
    fn last_use(self, dice: u64) -> Time {
        let rests = (dice / 7 + self.day) % 2;
        let day = i64::try_from(self.day - rests.min(self.day)).unwrap_or(0);
        DAWN - Span::seconds(i64::try_from(dice % 80_000).unwrap_or(0)) + Span::days(day)
    }
}

const POLICIES: [&str; 4] = ["AmazonS3ReadOnlyAccess", "AWSLambda_ReadOnlyAccess", "AmazonEC2FullAccess", "ReadOnly"];
const SERVICES: [&str; 4] = ["s3", "ecr", "sts", "lambda"];

fn user_id(number: u64) -> String {
    format!("AIDA{:016X}", mixed(number, 3))
}

fn key_id(number: u64, slot: u64) -> String {
    format!("AKIA{:016X}", mixed(number, 30 + slot))
}

fn mailbox(number: u64) -> String {
    format!("person-{number}@example.com")
}

/// Between a week and four years before the first day.
fn long_ago(number: u64, salt: u64) -> Time {
    DAWN - Span::days(7) - Span::seconds(i64::try_from(mixed(number, salt) % 126_000_000).unwrap_or(0))
}

/// SplitMix64: a number that looks like chance and is none.
pub(crate) fn mixed(number: u64, salt: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt.wrapping_mul(0xd1b5_4a32_d192_ed03));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
