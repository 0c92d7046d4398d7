//! Who answers for a thing, from what tags and files say.
//! It must never name an owner without the evidence, nor take a system account for a person.

use provost_model::{FieldSet, Owner, OwnerEvidence, Record, field};
use serde::{Deserialize, Serialize};

use crate::thresholds::digest_of;

/// Attributes of a record, and of the identity behind it, that say who answers for it.
pub const RESTS_ON: FieldSet =
    FieldSet::of(&[field::TAGS.field(), field::FILE_OWNER.field(), field::FILE_OWNER_UID.field()]);

/// Where owners are named, as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OwnerTags {
    /// Names of tags or labels, in any case; the first that names somebody is believed most.
    pub tags: Vec<String>,
}

/// A tag that an operator set for this purpose.
const OWNER_TAG: f64 = 0.9;
/// A tag that names a team.
const TEAM_TAG: f64 = 0.8;
/// Any other tag configured: a contact may be a mailbox of somebody who only forwards.
const OTHER_TAG: f64 = 0.7;
/// The file lies with an ordinary user.
const FILE_OF_USER: f64 = 0.6;
/// The file lies with root or a system account: somebody installed it, nobody is named.
const FILE_OF_SYSTEM: f64 = 0.3;
/// The first uid of ordinary users on Linux (`UID_MIN` of login.defs), and that of `nobody`.
const UID_MIN: i64 = 1000;
const NOBODY: i64 = 65534;

/// Values people write where a tag is compulsory and they know nothing.
const NOBODYS: [&str; 12] =
    ["-", "?", "n/a", "na", "none", "null", "nobody", "unknown", "tbd", "todo", "unassigned", "changeme"];

impl Default for OwnerTags {
    fn default() -> Self {
        Self { tags: ["owner", "team", "contact"].map(str::to_owned).into() }
    }
}

impl OwnerTags {
    /// Digest of the names, for whoever must notice that they changed.
    pub fn digest(&self) -> String {
        digest_of(self)
    }
}

/// Who answers for a record, with everything that speaks for it, the strongest first. A credential is answered for by
/// whoever answers for its identity, unless it says something stronger itself.
pub fn owner_of(record: &Record, identity: Option<&Record>, keys: &OwnerTags) -> Option<Owner> {
    let mut evidence = evidence_of(record, keys);
    if let Some(identity) = identity {
        let inherited = evidence_of(identity, keys).into_iter();
        evidence.extend(inherited.map(|it| OwnerEvidence { source: format!("{} of its identity", it.source), ..it }));
    }
    // Stable: of equally strong ones, the earlier configured tag and the record itself come first.
    evidence.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
    let best = evidence.first()?;
    Some(Owner { name: best.names.clone(), confidence: best.confidence, evidence })
}

fn evidence_of(record: &Record, keys: &OwnerTags) -> Vec<OwnerEvidence> {
    let tags = record.get(field::TAGS).known().unwrap_or_default();
    let mut evidence: Vec<OwnerEvidence> = keys
        .tags
        .iter()
        .filter_map(|wanted| {
            let (name, value) = tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
            let value = value.trim();
            let names_somebody = !value.is_empty() && !NOBODYS.contains(&value.to_lowercase().as_str());
            let confidence = match wanted.to_lowercase().as_str() {
                "owner" => OWNER_TAG,
                "team" => TEAM_TAG,
                _ => OTHER_TAG,
            };
            names_somebody.then(|| OwnerEvidence { source: format!("tag {name}"), names: value.to_owned(), confidence })
        })
        .collect();
    evidence.extend(file_owner(record));
    evidence
}

fn file_owner(record: &Record) -> Option<OwnerEvidence> {
    let uid = record.get(field::FILE_OWNER_UID).known();
    let name = record.get(field::FILE_OWNER).known().filter(|name| !name.is_empty());
    let names = name.or_else(|| uid.map(|uid| format!("uid {uid}")))?;
    let ordinary = uid.is_some_and(|uid| uid >= UID_MIN && uid != NOBODY);
    let confidence = if ordinary { FILE_OF_USER } else { FILE_OF_SYSTEM };
    Some(OwnerEvidence { source: "file owner".into(), names, confidence })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use provost_model::{Kind, Reading};

    use super::*;
    use crate::rules::sample::{Sample, key, record, user};

    fn tagged(tags: &[(&str, &str)]) -> Sample {
        let tags = tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        user().with(field::TAGS, tags.collect::<BTreeMap<_, _>>())
    }

    fn owner(of: Sample) -> Option<(String, f64)> {
        owner_of(&of.build(), None, &OwnerTags::default()).map(|owner| (owner.name, owner.confidence))
    }

    #[test]
    fn tags_name_owners_in_order_and_in_any_case() {
        let some = |name: &str, confidence| Some((name.to_owned(), confidence));
        let table = [
            (tagged(&[("Owner", "ann@x.org")]), some("ann@x.org", OWNER_TAG)),
            (tagged(&[("TEAM", "payments"), ("contact", "bob")]), some("payments", TEAM_TAG)),
            (tagged(&[("contact", "bob")]), some("bob", OTHER_TAG)),
            (tagged(&[("owner", " N/A "), ("team", "payments")]), some("payments", TEAM_TAG)),
            (tagged(&[("owner", "")]), None),
            (tagged(&[("owner-id", "ann")]), None),
            (user().with(field::TAGS, Reading::NotPermitted), None),
        ];
        for (sample, expected) in table {
            assert_eq!(owner(sample.clone()), expected, "{:?}", sample.build().get(field::TAGS));
        }
    }

    #[test]
    fn an_ordinary_users_file_is_answered_for_and_a_systems_is_not() {
        let file = |name: &str, uid: i64| {
            record(Kind::Token).with(field::FILE_OWNER, name.to_owned()).with(field::FILE_OWNER_UID, uid)
        };
        let table = [
            (file("alice", 1000), FILE_OF_USER),
            (file("www-data", 999), FILE_OF_SYSTEM),
            (file("root", 0), FILE_OF_SYSTEM),
            (file("nobody", 65534), FILE_OF_SYSTEM),
            (file("alice", 1).with(field::FILE_OWNER_UID, Reading::NotReported), FILE_OF_SYSTEM),
        ];
        for (sample, confidence) in table {
            assert_eq!(owner(sample).map(|(_, it)| it), Some(confidence));
        }
        let unnamed = record(Kind::Token).with(field::FILE_OWNER_UID, 1234_i64);
        assert_eq!(owner(unnamed), Some(("uid 1234".to_owned(), FILE_OF_USER)));
    }

    #[test]
    fn a_credential_is_answered_for_with_its_identity() {
        let identity = tagged(&[("owner", "ann")]).build();
        let owner = owner_of(&key().build(), Some(&identity), &OwnerTags::default()).unwrap();
        assert_eq!((owner.name.as_str(), owner.evidence[0].source.as_str()), ("ann", "tag owner of its identity"));
        let own = key().with(field::FILE_OWNER, "bob".to_owned()).with(field::FILE_OWNER_UID, 1001_i64).build();
        let owner = owner_of(&own, Some(&identity), &OwnerTags::default()).unwrap();
        assert_eq!((owner.name.as_str(), owner.evidence.len()), ("ann", 2));
    }
}
