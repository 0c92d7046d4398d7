//! Which operation an AWS request is, read from the request itself and not from who made it.
//! It must never give the name of a read to a request that could be anything else.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use crate::routes;

/// What the credential chain may send to obtain credentials; nothing of it changes the account.
pub const CREDENTIAL_CALLS: &[&str] = &[
    "sts:AssumeRole",
    "sts:AssumeRoleWithWebIdentity",
    "sso:GetRoleCredentials",
    "sso-oidc:CreateToken",
    "container:GetCredentials",
];

/// What asking a machine's own metadata service for credentials sends; only when the operator allows it.
pub const INSTANCE_CALLS: &[&str] = &["imds:GetToken", "imds:GetMetadata"];

/// The operation of a request, such as `iam:ListUsers`. What is not recognised is named by method, host and path, a name
/// that no list of reads contains.
pub fn operation_of(request: &HttpRequest) -> String {
    let (host, path) = host_and_path(request.uri());
    query_protocol(request, path)
        .or_else(|| json_protocol(request, path))
        .or_else(|| credential_call(request, host, path))
        .unwrap_or_else(|| format!("{} {host}{path}", request.method()))
}

/// `service:Action` of an AWS query-protocol request: POST to `/` without a query, one plain `Action` in the body, and the
/// service its signature is scoped to.
fn query_protocol(request: &HttpRequest, path: &str) -> Option<String> {
    if request.method() != "POST" || path != "/" || request.uri().contains('?') || target(request).is_some() {
        return None;
    }
    let body = std::str::from_utf8(request.body().bytes()?).ok()?;
    let mut actions = Vec::new();
    for pair in body.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A name in disguise could carry a second action past this reading.
        if name.contains(['%', '+']) {
            return None;
        }
        if name == "Action" {
            actions.push(value);
        }
    }
    let [action] = actions.as_slice() else { return None };
    if action.is_empty() || !action.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match (signed_for(request), *action) {
        (Some(service), action) => Some(format!("{service}:{action}")),
        // The one unsigned call of the credential chain: the web identity's token is its proof.
        (None, "AssumeRoleWithWebIdentity") => Some("sts:AssumeRoleWithWebIdentity".to_owned()),
        (None, _) => None,
    }
}

/// `service:Action` of an AWS JSON request: of the RPC style by its target, of the REST style by method and path.
fn json_protocol(request: &HttpRequest, path: &str) -> Option<String> {
    let service = signed_for(request)?;
    match target(request) {
        Some(target) => {
            let is_json = request.headers().get("content-type") == Some("application/x-amz-json-1.1");
            let is_call = is_json && request.method() == "POST" && path == "/" && !request.uri().contains('?');
            if is_call { routes::targeted(service, target) } else { None }
        }
        // A form is of the query protocol, whatever the path says.
        None if request.headers().get("content-type").is_some_and(|it| it != "application/json") => None,
        None if service == "s3" => routes::object(request.method(), path, request.uri().split_once('?').map(|it| it.1)),
        None => routes::routed(service, request.method(), path).map(str::to_owned),
    }
}

fn target(request: &HttpRequest) -> Option<&str> {
    request.headers().get("x-amz-target")
}

/// The service in the signature's scope: `Credential=AKIA…/20261124/us-east-1/iam/aws4_request`.
fn signed_for(request: &HttpRequest) -> Option<&str> {
    let scope = request.headers().get("authorization")?.split_once("Credential=")?.1.split(',').next()?;
    let mut parts = scope.trim().rsplit('/');
    let (last, service) = (parts.next()?, parts.next()?);
    (last == "aws4_request" && service.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
        .then_some(service)
}

fn credential_call(request: &HttpRequest, host: &str, path: &str) -> Option<String> {
    let method = request.method();
    let name = match host {
        "169.254.169.254" | "[fd00:ec2::254]" if method == "PUT" && path == "/latest/api/token" => "imds:GetToken",
        "169.254.169.254" | "[fd00:ec2::254]" if method == "GET" => "imds:GetMetadata",
        "169.254.170.2" | "169.254.170.23" | "[fd00:ec2::23]" | "127.0.0.1" | "localhost" | "[::1]"
            if method == "GET" =>
        {
            "container:GetCredentials"
        }
        _ if method == "GET" && path == "/federation/credentials" && host.starts_with("portal.sso.") => {
            "sso:GetRoleCredentials"
        }
        _ if method == "POST" && path == "/token" && host.starts_with("oidc.") => "sso-oidc:CreateToken",
        _ => return None,
    };
    Some(name.to_owned())
}

/// Host without port, and path without query. User information never appears: the SDK refuses it.
fn host_and_path(uri: &str) -> (&str, &str) {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let (authority, path) = rest.find(['/', '?']).map_or((rest, "/"), |at| rest.split_at(at));
    let path = path.split('?').next().unwrap_or("/");
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    (host, if path.is_empty() { "/" } else { path })
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn request(method: &str, uri: &str, scope: Option<&str>, body: &str) -> HttpRequest {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).unwrap();
        request.set_uri(uri.to_owned()).unwrap();
        if let Some(service) = scope {
            let value =
                format!("AWS4-HMAC-SHA256 Credential=AKIA/20261124/us-east-1/{service}/aws4_request, Signature=0");
            request.headers_mut().insert("authorization", value);
        }
        request
    }

    #[test]
    fn a_request_is_named_by_its_action_and_its_signature() {
        let table = [
            ("POST", "https://iam.amazonaws.com/", Some("iam"), "Action=ListUsers&Version=2010-05-08", "iam:ListUsers"),
            (
                "POST",
                "https://ec2.eu-west-1.amazonaws.com/",
                Some("ec2"),
                "Action=DescribeRegions",
                "ec2:DescribeRegions",
            ),
            (
                "POST",
                "http://127.0.0.1:5100",
                Some("sts"),
                "Version=1&Action=GetCallerIdentity",
                "sts:GetCallerIdentity",
            ),
            (
                "POST",
                "https://sts.amazonaws.com/",
                None,
                "Action=AssumeRoleWithWebIdentity",
                "sts:AssumeRoleWithWebIdentity",
            ),
            (
                "GET",
                "https://portal.sso.eu-west-1.amazonaws.com/federation/credentials?role_name=x",
                None,
                "",
                "sso:GetRoleCredentials",
            ),
            ("POST", "https://oidc.eu-west-1.amazonaws.com/token", None, "{}", "sso-oidc:CreateToken"),
            ("PUT", "http://169.254.169.254/latest/api/token", None, "", "imds:GetToken"),
            ("GET", "http://169.254.170.2/v2/credentials/x", None, "", "container:GetCredentials"),
        ];
        for (method, uri, scope, body, name) in table {
            assert_eq!(operation_of(&request(method, uri, scope, body)), name);
        }
    }

    #[test]
    fn whatever_could_be_something_else_gets_no_read_s_name() {
        let table = [
            ("POST", "https://iam.amazonaws.com/?Action=CreateUser", Some("iam"), "Action=ListUsers"),
            ("POST", "https://iam.amazonaws.com/", Some("iam"), "Action=ListUsers&Action=CreateUser"),
            ("POST", "https://iam.amazonaws.com/", Some("iam"), "Action=ListUsers&%41ction=CreateUser"),
            ("POST", "https://iam.amazonaws.com/", None, "Action=ListUsers"),
            ("POST", "https://iam.amazonaws.com/", Some("iam"), "Action=List%55sers"),
            ("GET", "https://iam.amazonaws.com/", Some("iam"), "Action=ListUsers"),
            ("DELETE", "https://bucket.s3.amazonaws.com/", Some("s3"), "Action=ListUsers"),
            ("POST", "https://iam.amazonaws.com/other", Some("iam"), "Action=ListUsers"),
            ("PUT", "http://169.254.169.254/latest/other", None, ""),
        ];
        for (method, uri, scope, body) in table {
            let name = operation_of(&request(method, uri, scope, body));
            assert!(name.starts_with(method), "{name}");
        }
    }
    fn json(method: &str, uri: &str, scope: &str, target: Option<&str>) -> HttpRequest {
        let mut request = request(method, uri, Some(scope), "{}");
        if let Some(target) = target {
            request.headers_mut().insert("x-amz-target", target.to_owned());
            request.headers_mut().insert("content-type", "application/x-amz-json-1.1");
        }
        request
    }

    #[test]
    fn a_json_request_is_named_by_its_target_or_its_path() {
        let secrets = "https://secretsmanager.eu-west-1.amazonaws.com/";
        let listed = json("POST", secrets, "secretsmanager", Some("secretsmanager.ListSecrets"));
        assert_eq!(operation_of(&listed), "secretsmanager:ListSecrets");
        let value = json("POST", secrets, "secretsmanager", Some("secretsmanager.GetSecretValue"));
        assert_eq!(operation_of(&value), "secretsmanager:GetSecretValue");
        let anchors =
            json("GET", "https://rolesanywhere.eu-west-1.amazonaws.com/trustanchors?pageSize=9", "rolesanywhere", None);
        assert_eq!(operation_of(&anchors), "rolesanywhere:ListTrustAnchors");
    }

    #[test]
    fn a_json_request_with_two_faces_has_no_name() {
        let secrets = "https://secretsmanager.eu-west-1.amazonaws.com/";
        let target = Some("secretsmanager.ListSecrets");
        let mut form = json("POST", secrets, "secretsmanager", target);
        form.headers_mut().insert("content-type", "application/x-www-form-urlencoded");
        let mut action = request("POST", "https://iam.amazonaws.com/", Some("iam"), "Action=ListUsers");
        action.headers_mut().insert("x-amz-target", "TrentService.ScheduleKeyDeletion");
        let mut unsigned = json("POST", secrets, "secretsmanager", target);
        unsigned.headers_mut().remove("authorization");
        for it in [
            form,
            action,
            unsigned,
            json("POST", &format!("{secrets}?x=1"), "secretsmanager", target),
            json("POST", &format!("{secrets}clusters"), "secretsmanager", target),
            json("GET", secrets, "secretsmanager", target),
            json("POST", secrets, "kms", target),
            json("GET", "https://eks.eu-west-1.amazonaws.com/clusters", "eks", target),
            json("DELETE", "https://eks.eu-west-1.amazonaws.com/clusters/prod", "eks", None),
        ] {
            let name = operation_of(&it);
            assert!(name.starts_with(it.method()), "{name}");
        }
    }
}
