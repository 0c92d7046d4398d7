//! Which requests of AWS's JSON protocols are reads by name: targets of the RPC style, method and path of the REST style.
//! It must only hold what was read in the services' published descriptions: whatever is not here has no name and is refused.

/// Services of the RPC style: the name a signature is scoped to, and what stands before the action in `X-Amz-Target`.
const TARGETS: &[(&str, &str)] = &[
    ("acm", "CertificateManager"),
    ("cloudtrail", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"),
    ("ecs", "AmazonEC2ContainerServiceV20141113"),
    ("kms", "TrentService"),
    ("organizations", "AWSOrganizationsV20161128"),
    ("secretsmanager", "secretsmanager"),
    ("ssm", "AmazonSSM"),
    ("sso", "SWBExternalService"),
];

/// Services of the REST style: the name a signature is scoped to, method, path and operation. `{}` is one segment.
const ROUTES: &[(&str, &str, &str, &str)] = &[
    ("account", "POST", "/listRegions", "account:ListRegions"),
    ("bedrock", "GET", "/agents/{}/", "bedrock:GetAgent"),
    ("bedrock", "POST", "/agents/", "bedrock:ListAgents"),
    ("eks", "GET", "/clusters", "eks:ListClusters"),
    ("eks", "GET", "/clusters/{}", "eks:DescribeCluster"),
    ("eks", "GET", "/clusters/{}/pod-identity-associations", "eks:ListPodIdentityAssociations"),
    ("eks", "GET", "/clusters/{}/pod-identity-associations/{}", "eks:DescribePodIdentityAssociation"),
    ("lambda", "GET", "/2015-03-31/functions", "lambda:ListFunctions"),
    ("rolesanywhere", "GET", "/profiles", "rolesanywhere:ListProfiles"),
    ("rolesanywhere", "GET", "/trustanchors", "rolesanywhere:ListTrustAnchors"),
];

/// `service:Action` of an RPC request: the service it is signed for, and its whole target.
pub(crate) fn targeted(service: &str, target: &str) -> Option<String> {
    let (before, action) = target.rsplit_once('.')?;
    let is_plain = !action.is_empty() && action.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_plain && TARGETS.contains(&(service, before))).then(|| format!("{service}:{action}"))
}

/// `service:Action` of a REST request: the service it is signed for, its method, and its path without query.
pub(crate) fn routed(service: &str, method: &str, path: &str) -> Option<&'static str> {
    let route = |it: &&(&str, &str, &str, &'static str)| it.0 == service && it.1 == method && leads(it.2, path);
    ROUTES.iter().find(route).map(|(_, _, _, operation)| *operation)
}

/// Words of a listing of S3's objects (Amazon S3 API reference, `ListObjectsV2`).
const LISTING: [&str; 5] = ["prefix", "delimiter", "start-after", "continuation-token", "max-keys"];

/// The operation of a request to S3: the listing of a bucket, or the reading of a log file of CloudTrail. No other object is
/// read, and no sub-resource of either has a name.
pub(crate) fn object(method: &str, path: &str, query: Option<&str>) -> Option<String> {
    let (bucket, key) = path.strip_prefix('/').map(|path| path.split_once('/').unwrap_or((path, "")))?;
    let of_bucket = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let of_key = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.=+!".contains(&byte);
    if method != "GET" || bucket.is_empty() || !bucket.bytes().all(of_bucket) || path.contains("..") {
        return None;
    }
    match query {
        None if key.ends_with(".json.gz") && key.contains("/CloudTrail/") && key.bytes().all(of_key) => {
            Some("s3:GetObject".to_owned())
        }
        Some(query) if key.is_empty() => {
            let rest = query.strip_prefix("list-type=2")?;
            let is_word = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| LISTING.contains(&name));
            let are_words = rest.is_empty() || rest.strip_prefix('&')?.split('&').all(is_word);
            are_words.then(|| "s3:ListBucket".to_owned())
        }
        _ => None,
    }
}

/// Whether a path follows a route. A segment of plain letters cannot be a path in disguise.
fn leads(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some("{}"), Some(segment)) if is_plain(segment) => {}
            (Some(fixed), Some(segment)) if fixed != "{}" && fixed == segment => {}
            _ => return false,
        }
    }
}

fn is_plain(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_its_service_s_own_prefix_and_a_plain_action() {
        assert_eq!(targeted("kms", "TrentService.ListKeys").as_deref(), Some("kms:ListKeys"));
        let trail = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
        assert_eq!(targeted("cloudtrail", trail).as_deref(), Some("cloudtrail:LookupEvents"));
        for (service, target) in [
            ("kms", "secretsmanager.ListSecrets"),
            ("secretsmanager", "TrentService.ListKeys"),
            ("kms", "TrentService."),
            ("kms", "TrentService.List%4beys"),
            ("kms", "ListKeys"),
            ("kms", "TrentService.x.ListKeys"),
            ("dynamodb", "DynamoDB_20120810.Scan"),
        ] {
            assert_eq!(targeted(service, target), None, "{service} {target}");
        }
    }

    #[test]
    fn of_s3_a_listing_and_the_log_files_of_a_trail_are_reads_and_nothing_else() {
        let file = "/b.c-1/AWSLogs/1/CloudTrail/eu-west-1/2026/11/29/1_CloudTrail_eu-west-1_20261129T0005Z_x.json.gz";
        assert_eq!(object("GET", file, None).as_deref(), Some("s3:GetObject"));
        for query in ["list-type=2", "list-type=2&prefix=AWSLogs%2F&delimiter=%2F&start-after=x&continuation-token=y"] {
            assert_eq!(object("GET", "/bucket", Some(query)).as_deref(), Some("s3:ListBucket"), "{query}");
        }
        let other = "/bucket/AWSLogs/1/CloudTrail/../../secret.json.gz";
        for (method, path, query) in [
            ("DELETE", file, None),
            ("PUT", file, None),
            ("GET", file, Some("versionId=1")),
            ("GET", file, Some("list-type=2")),
            ("GET", other, None),
            ("GET", "/bucket/CloudTrail/x.json.gz%00", None),
            ("GET", "/bucket/backups/CloudTrail.json.gz", None),
            ("GET", "/bucket/AWSLogs/1/CloudTrail/x.txt", None),
            ("GET", "/bucket", None),
            ("GET", "/bucket", Some("policy")),
            ("GET", "/bucket", Some("list-type=2&policy")),
            ("GET", "/bucket", Some("list-type=2&acl=")),
            ("GET", "/bucket", Some("list-type=22")),
            ("GET", "/", Some("list-type=2")),
            ("POST", "/bucket", Some("list-type=2")),
        ] {
            assert_eq!(object(method, path, query), None, "{method} {path} {query:?}");
        }
    }

    #[test]
    fn a_route_is_followed_to_its_end_and_no_further() {
        assert_eq!(routed("eks", "GET", "/clusters/prod-1"), Some("eks:DescribeCluster"));
        let association = "/clusters/prod/pod-identity-associations/a-1";
        assert_eq!(routed("eks", "GET", association), Some("eks:DescribePodIdentityAssociation"));
        assert_eq!(routed("bedrock", "POST", "/agents/"), Some("bedrock:ListAgents"));
        for (service, method, path) in [
            ("eks", "DELETE", "/clusters/prod-1"),
            ("eks", "POST", "/clusters"),
            ("eks", "GET", "/clusters/"),
            ("eks", "GET", "/clusters/.."),
            ("eks", "GET", "/clusters/a%2Fnode-groups"),
            ("eks", "GET", "/clusters/prod/node-groups"),
            ("bedrock", "PUT", "/agents/"),
            ("bedrock", "POST", "/agents/X/"),
            ("lambda", "GET", "/2015-03-31/functions/x"),
            ("lambda", "POST", "/2015-03-31/functions"),
            ("s3", "GET", "/clusters"),
        ] {
            assert_eq!(routed(service, method, path), None, "{service} {method} {path}");
        }
    }
}
