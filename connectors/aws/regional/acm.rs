//! Certificate Manager: certificates, when they end, whether they renew themselves, and what uses them.
//! It must never leave out certificates with keys that the service's own listing hides unless asked for.

use provost_client::Failure;
use provost_model::{Entity, Key, Kind, Reading, Status, field};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Found, Here, One};
use crate::aws::{
    authorization::set,
    call::{At, Rpc, or_empty},
    lists::paged,
};

const LIST: Rpc = rpc("acm:ListCertificates", "CertificateManager.ListCertificates");
const DESCRIBE: Rpc = rpc("acm:DescribeCertificate", "CertificateManager.DescribeCertificate");
/// Most elements of a page.
const PAGE: u32 = 1000;
/// Every type of key. A listing without this shows two of them.
const KEY_TYPES: [&str; 7] =
    ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"];

const fn rpc(operation: &'static str, target: &'static str) -> Rpc {
    Rpc { operation, host: "acm", service: "acm", target }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    certificate_summary_list: Vec<serde_json::Value>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    certificate_arn: String,
    domain_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    certificate: Certificate,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Certificate {
    status: Option<String>,
    #[serde(rename = "Type")]
    sort: Option<String>,
    serial: Option<String>,
    subject: Option<String>,
    issuer: Option<String>,
    #[serde(default, deserialize_with = "or_empty")]
    subject_alternative_names: Vec<String>,
    created_at: Option<At>,
    issued_at: Option<At>,
    imported_at: Option<At>,
    not_after: Option<At>,
    key_algorithm: Option<String>,
    signature_algorithm: Option<String>,
    #[serde(default, deserialize_with = "or_empty")]
    in_use_by: Vec<String>,
    renewal_eligibility: Option<String>,
    renewal_summary: Option<Renewal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Renewal {
    renewal_status: Option<String>,
}

/// All certificates of the region. Each is looked into only when the listing is not the one of last time.
pub(super) async fn look(here: &Here<'_>) -> Result<Found, Failure> {
    let (session, region) = (here.session, here.region);
    let all = paged(LIST.operation, session, |token| async move {
        let mut body = json!({"MaxItems": PAGE, "Includes": {"keyTypes": KEY_TYPES}});
        if let (Some(token), Some(body)) = (token, body.as_object_mut()) {
            body.insert("NextToken".to_owned(), json!(token));
        }
        let page: Page = session.rpc(&LIST, region, &body).await?;
        Ok((page.certificate_summary_list, page.next_token))
    })
    .await?;
    // Every summary has the dates of issue, import, renewal and use: whatever changes a certificate changes its summary.
    let digest = Sha256::digest(serde_json::to_vec(&all).unwrap_or_default()).to_vec();
    if here.is_as_before(&digest) {
        return Ok(Found { cursor: Some(digest), unchanged: true, ..Found::default() });
    }
    let mut found = Found { cursor: Some(digest), ..Found::default() };
    for summary in all {
        let summary: Summary = serde_json::from_value(summary).map_err(|_| super::malformed(LIST.operation))?;
        let body = json!({"CertificateArn": summary.certificate_arn});
        let described = session.rpc::<Described>(&DESCRIBE, region, &body).await;
        match found.each(described)? {
            One::Told(it) => found.entities.push(filled(bare(here, summary), it.certificate)),
            One::Refused => found.entities.push(refused(bare(here, summary))),
            One::Passed => {}
        }
    }
    Ok(found)
}

fn bare(here: &Here<'_>, it: Summary) -> Entity {
    let name = it.domain_name.unwrap_or_else(|| it.certificate_arn.clone());
    Entity::new(Key::new(here.realm.clone(), Kind::Certificate, it.certificate_arn.as_str()), name)
        .with(field::ARN, it.certificate_arn)
        .with(field::STORE_KIND, "aws_certificate_manager".to_owned())
        .with(field::LAST_USED_AT, Reading::NotReported)
}

fn filled(entity: Entity, it: Certificate) -> Entity {
    let rotation = rotation(&it);
    let mut entity = entity
        .with(field::STATUS, status(it.status.as_deref()))
        .with(field::ROTATION, rotation)
        .with(field::HOLDERS, it.in_use_by)
        .with(field::ALTERNATIVE_NAMES, it.subject_alternative_names);
    set(&mut entity, field::CREDENTIAL_TYPE, it.sort.map(|sort| sort.to_ascii_lowercase()));
    set(&mut entity, field::CREATED_AT, it.created_at.or(it.imported_at).map(|at| at.0));
    set(&mut entity, field::ROTATED_AT, it.imported_at.or(it.issued_at).map(|at| at.0));
    set(&mut entity, field::EXPIRES_AT, it.not_after.map(|at| at.0));
    set(&mut entity, field::SUBJECT, it.subject);
    set(&mut entity, field::ISSUER, it.issuer);
    set(&mut entity, field::SERIAL, it.serial);
    set(&mut entity, field::SIGNATURE_ALGORITHM, it.signature_algorithm);
    if let Some((algorithm, bits)) = it.key_algorithm.as_deref().and_then(algorithm) {
        entity = entity.with(field::ALGORITHM, algorithm.to_owned()).with(field::BITS, bits);
    }
    entity
}

fn refused(entity: Entity) -> Entity {
    entity
        .with(field::STATUS, Reading::NotPermitted)
        .with(field::ROTATION, Reading::NotPermitted)
        .with(field::CREATED_AT, Reading::NotPermitted)
        .with(field::EXPIRES_AT, Reading::NotPermitted)
}

/// Whether it renews itself: not what was imported, nor what nothing uses.
fn rotation(it: &Certificate) -> String {
    let renewal = it.renewal_summary.as_ref().and_then(|renewal| renewal.renewal_status.as_deref());
    let word = match (it.sort.as_deref(), renewal, it.renewal_eligibility.as_deref()) {
        (Some("IMPORTED"), _, _) => "off",
        // Waiting for a human to prove the domain is no renewal that goes on by itself.
        (_, Some("FAILED" | "PENDING_VALIDATION"), _) => "failing",
        (_, _, Some("ELIGIBLE")) => "managed",
        _ => "off",
    };
    word.to_owned()
}

fn status(said: Option<&str>) -> Status {
    match said {
        Some("ISSUED") => Status::Active,
        Some("EXPIRED") => Status::Expired,
        Some("INACTIVE" | "REVOKED" | "FAILED" | "PENDING_VALIDATION" | "VALIDATION_TIMED_OUT") => Status::Inactive,
        _ => Status::Unknown,
    }
}

/// `RSA_2048`, `RSA-2048` and `EC_prime256v1` as algorithm and size.
fn algorithm(said: &str) -> Option<(&'static str, i64)> {
    let (family, size) = said.split_once(['_', '-'])?;
    match (family, size) {
        ("RSA", bits) => Some(("rsa", bits.parse().ok()?)),
        ("EC", "prime256v1") => Some(("ecdsa", 256)),
        ("EC", "secp384r1") => Some(("ecdsa", 384)),
        ("EC", "secp521r1") => Some(("ecdsa", 521)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(json: serde_json::Value) -> Certificate {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn only_what_is_used_and_issued_here_renews_itself() {
        let cases = [
            (json!({"Type": "IMPORTED", "RenewalEligibility": "INELIGIBLE"}), "off"),
            (json!({"Type": "AMAZON_ISSUED", "RenewalEligibility": "ELIGIBLE"}), "managed"),
            (json!({"Type": "AMAZON_ISSUED", "RenewalEligibility": "INELIGIBLE"}), "off"),
            (
                json!({"Type": "AMAZON_ISSUED", "RenewalEligibility": "ELIGIBLE",
                    "RenewalSummary": {"RenewalStatus": "PENDING_VALIDATION"}}),
                "failing",
            ),
        ];
        for (json, word) in cases {
            assert_eq!(rotation(&certificate(json.clone())), word, "{json}");
        }
    }

    #[test]
    fn algorithms_are_told_as_everywhere() {
        assert_eq!(algorithm("RSA_2048"), Some(("rsa", 2048)));
        assert_eq!(algorithm("RSA-4096"), Some(("rsa", 4096)));
        assert_eq!(algorithm("EC_secp384r1"), Some(("ecdsa", 384)));
        assert_eq!(algorithm("ML_DSA_44"), None);
    }
}
