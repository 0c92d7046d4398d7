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
