//! Where Amazon's services are, and for which region calls to them are signed.
//! It must only say what the documentation says: everything else is for the settings `endpoint` and `sts_endpoint`.

/// Whether a text may be a region's name.
pub(super) fn is_region(text: &str) -> bool {
    let sound = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    !text.is_empty() && text.len() <= 32 && text.chars().all(sound)
}

/// The origin of a service and the region in its signatures ("AWS Identity and Access Management endpoints and quotas": IAM
/// is in one region of each partition; everything else is where it is used).
pub(super) fn home(service: &str, region: &str) -> (String, String) {
    let china = region.starts_with("cn-");
    let (host, scope) = match service {
        "iam" if china => ("iam.cn-north-1.amazonaws.com.cn".to_owned(), "cn-north-1"),
        "iam" if region.starts_with("us-gov-") => ("iam.us-gov.amazonaws.com".to_owned(), "us-gov-west-1"),
        "iam" => ("iam.amazonaws.com".to_owned(), "us-east-1"),
        _ if china => (format!("{service}.{region}.amazonaws.com.cn"), region),
        _ => (format!("{service}.{region}.amazonaws.com"), region),
    };
    (format!("https://{host}"), scope.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_where_the_documentation_says() {
        let table = [
            ("iam", "eu-west-1", "https://iam.amazonaws.com", "us-east-1"),
            ("iam", "us-gov-east-1", "https://iam.us-gov.amazonaws.com", "us-gov-west-1"),
            ("iam", "cn-northwest-1", "https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("sts", "eu-west-1", "https://sts.eu-west-1.amazonaws.com", "eu-west-1"),
            ("ssm", "cn-north-1", "https://ssm.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("secretsmanager", "us-east-1", "https://secretsmanager.us-east-1.amazonaws.com", "us-east-1"),
        ];
        for (service, region, origin, scope) in table {
            assert_eq!(home(service, region), (origin.to_owned(), scope.to_owned()));
        }
        for wrong in ["", "EU-WEST-1", "eu.west", "eu-west-1/x"] {
            assert!(!is_region(wrong), "{wrong}");
        }
    }
}
