//! CRED-WEAK-KEY: a key or signature that can be broken.
//! It must never judge a root certificate by its own signature, which nobody relies on.

use provost_model::{FieldSet, Kind, Noun, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life};
use crate::thresholds::Thresholds;

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-WEAK-KEY",
    version: 1,
    severity: Severity::Medium,
    title: "key or signature that can be broken",
    why: "Short RSA keys, DSA, and signatures over SHA-1 or MD5 can be forged with means that money buys.",
    remedy: "Make a new key (Ed25519, ECDSA P-256, RSA of 3072 bits) and a certificate signed over SHA-256.",
    frameworks: Mapping { owasp_nhi: &["NHI4"], nist_csf: &["PR.AA-03"], other: &[("nist_sp_800_53_r5", "IA-5(2)")] },
    needs: &[Kind::SshKey, Kind::Certificate, Kind::Secret],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::ALGORITHM.field(),
        field::BITS.field(),
        field::SIGNATURE_ALGORITHM.field(),
        field::SUBJECT.field(),
        field::ISSUER.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[]), Neighbour::SameSecret.reading(&[])],
    dates: false,
    figures: &["grace_days", "rsa_bits", "ec_bits"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    // A weak public key that is let in is as bad as the private one; a certificate of a bundle is not ours.
    if view.kind() == Kind::Certificate && !life::keeps_secret(view) {
        return Ok(Verdict::not_applicable());
    }
    let algorithm = match view.text(field::ALGORITHM) {
        Reading::Known(algorithm) => algorithm.to_lowercase(),
        Reading::NotReported => return Ok(Verdict::not_applicable()),
        Reading::NotCollected if view.kind().noun() == Noun::Secret => return Ok(Verdict::not_applicable()),
        unknown => return Err(Verdict::unknown("algorithm", &unknown)),
    };
    let fault = match weak_signature(view) {
        Some(fault) => Some(fault),
        None => weak_key(&algorithm, view.get(field::BITS), thresholds)?,
    };
    let Some(fault) = fault else { return Ok(Verdict::pass()) };
    life::usual_grace(view, thresholds, now)?;
    Ok(Verdict::fail(view.says(|| format!("{working}, {fault}")), view.raisers()))
}

fn weak_key(algorithm: &str, bits: Reading<i64>, thresholds: &Thresholds) -> Result<Option<String>, Verdict> {
    let least = if algorithm.starts_with("dsa") || algorithm.starts_with("ssh-dss") {
        return Ok(Some("DSA key".into()));
    } else if algorithm.starts_with("rsa") || algorithm.starts_with("ssh-rsa") {
        thresholds.rsa_bits
    } else if algorithm.starts_with("ec") {
        thresholds.ec_bits
    } else {
        return Ok(None); // Ed25519 and its kin have one size, which is enough.
    };
    match bits {
        Reading::Known(bits) if bits < i64::from(least) => {
            Ok(Some(format!("{algorithm} key of {bits} bits, under {least}")))
        }
        Reading::Known(_) => Ok(None),
        unknown => Err(Verdict::unknown("bits", &unknown)),
    }
}

fn weak_signature(view: &View<'_>) -> Option<String> {
    let signature = view.text(field::SIGNATURE_ALGORITHM).known()?;
    let (subject, issuer) = (view.text(field::SUBJECT).known(), view.text(field::ISSUER).known());
    if subject.is_some() && subject == issuer {
        return None;
    }
    let plain: String = signature.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let weak = ["sha1", "md5", "md4", "md2"].iter().any(|hash| plain.contains(hash));
    weak.then(|| format!("signed with {signature}"))
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, record, truth};

    fn ssh(algorithm: &str, bits: i64) -> Sample {
        record(Kind::SshKey)
            .with(field::STATUS, Status::Active)
            .with(field::CREATED_AT, ago(100))
            .with(field::ALGORITHM, algorithm.to_owned())
            .with(field::BITS, bits)
    }

    #[test]
    fn truth_table() {
        let algorithm = |reading| World::from(ssh("rsa", 1024).with(field::ALGORITHM, reading));
        let bits = |reading| World::from(ssh("rsa", 1024).with(field::BITS, reading));
        let signed = |with: &str| {
            let mut it = World::from(
                ssh("rsa", 2048)
                    .with(field::SIGNATURE_ALGORITHM, with.to_owned())
                    .with(field::SUBJECT, "CN=a".to_owned())
                    .with(field::ISSUER, "CN=b".to_owned()),
            );
            it.record.kind = Kind::Certificate;
            it
        };
        let mut root = signed("sha1WithRSAEncryption").record_with(field::ISSUER, "CN=a".to_owned());
        root.record.kind = Kind::Certificate;
        let bundled = signed("sha1WithRSAEncryption").record_with(field::LOCATION, "/etc/ssl/ca.pem".to_owned());
        let words = truth(
            &SPEC,
            vec![
                ("short RSA", ssh("rsa", 1024).into(), "fail"),
                ("edge: one bit too few", ssh("rsa", 2047).into(), "fail"),
                ("edge: exactly enough", ssh("rsa", 2048).into(), "pass"),
                ("DSA of any size", ssh("dsa", 3072).into(), "fail"),
                ("short curve", ssh("ecdsa", 224).into(), "fail"),
                ("curve of 256 bits", ssh("ecdsa", 256).into(), "pass"),
                ("Ed25519", ssh("ed25519", 256).into(), "pass"),
                ("SHA-1 signature", signed("sha1WithRSAEncryption"), "fail"),
                ("SHA-1 signature, other spelling", signed("ecdsa-with-SHA1"), "fail"),
                ("MD5 signature", signed("md5WithRSAEncryption"), "fail"),
                ("SHA-256 signature", signed("sha256WithRSAEncryption"), "pass"),
                ("a root's signature of itself", root, "pass"),
                ("a certificate of a bundle", bundled, "not_applicable"),
                ("grace: made lately", ssh("rsa", 1024).with(field::CREATED_AT, ago(2)).into(), "pass"),
                ("inactive", ssh("rsa", 1024).with(field::STATUS, Status::Inactive).into(), "pass"),
                ("unknown: not reported", algorithm(Reading::NotReported), "not_applicable"),
                ("unknown: not collected", algorithm(Reading::NotCollected), "inconclusive"),
                ("denied", algorithm(Reading::NotPermitted), "inconclusive"),
                ("size not collected", bits(Reading::NotCollected), "inconclusive"),
                ("size denied", bits(Reading::NotPermitted), "inconclusive"),
                ("data lag does not matter", ssh("rsa", 1024).told(NOW - provost_model::Span::days(9)).into(), "fail"),
            ],
        );
        assert_eq!(words[0], "active, rsa key of 1024 bits, under 2048");
    }
}
