//! A small IAM of our own for tests: what real servers do rarely, on demand.
//! It must never be compiled into the daemon.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

/// How the fake answers an action instead of the right way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error answer: status, code, message.
    Error(u16, &'static str, &'static str),
    /// This text with status 200.
    Garbage(&'static str),
    /// An answer that breaks off, and the connection with it.
    Cut,
}

/// An access key of the fake.
#[derive(Clone, Debug)]
pub struct FakeKey {
    /// Its id.
    pub id: String,
    /// Whether it is active.
    pub active: bool,
    /// When it was created, RFC 3339 with `Z`.
    pub created: String,
    /// What the report says of the last change.
    pub rotated: String,
}

/// A user of the fake.
#[derive(Clone, Debug)]
pub struct FakeUser {
    /// Its name.
    pub name: String,
    /// Its unique id.
    pub id: String,
    /// When it was created.
    pub created: String,
    /// When its row in the report says that it was.
    pub reported: Option<String>,
    /// Its keys.
    pub keys: Vec<FakeKey>,
    /// Whether it has a virtual second factor.
    pub mfa: bool,
    /// The document of a policy written into it.
    pub policy: Option<String>,
}

/// What the fake knows and how it behaves.
#[derive(Debug, Default)]
pub struct Account {
    /// Its users.
    pub users: Vec<FakeUser>,
    /// Its roles: name, and the document of the policy written into each.
    pub roles: Vec<(&'static str, &'static str)>,
    /// As whom the caller looks; a user that is not listed if `None`.
    pub caller: Option<&'static str>,
    /// Most elements of a page whatever is asked for; zero for no bound.
    pub page: usize,
    /// Whether the report leaves out inactive keys.
    pub hides_inactive: bool,
    /// When the report was generated.
    pub generated: String,
    /// Faults by action.
    pub faults: HashMap<&'static str, Fault>,
    /// From which call of an action on its fault shows; zero is the first.
    pub after: HashMap<&'static str, u64>,
    /// Calls by action.
    pub calls: BTreeMap<String, u64>,
    /// Throttled calls.
    pub throttled: u64,
    /// Calls a second for each action and the burst; none for no bound.
    pub bucket: Option<(f64, f64)>,
    /// How full the bucket of each action is, and since when.
    pub levels: HashMap<String, (f64, Instant)>,
    /// The `Date` of its answers; none if empty.
    pub date: String,
    /// A session token that is answered as ended.
    pub ended: Option<String>,
    /// Bytes received.
    pub bytes: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Answers of services beside IAM and STS, status and body: by region and action (`eu-west-1 ListSecrets`), or by region,
    /// method and path. The last is given again and again.
    pub cloud: HashMap<String, Vec<(u16, String)>>,
    /// Accounts whose role nobody may take on.
    pub locked: Vec<&'static str>,
    /// The external id that is asked for when a role is taken on.
    pub external_id: Option<&'static str>,
}

/// What a head says of a request, beside its form.
struct Asked {
    /// Region and target or path, as [`Account::cloud`] names it; nothing for a form.
    cloud: Option<String>,
    /// The account whose credentials signed it, if they are those of a role.
    account: Option<String>,
}

impl Asked {
    fn of(head: &str) -> Self {
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let scope = header("authorization").and_then(|it| it.split_once("Credential=")).map_or("", |(_, rest)| rest);
        let mut scope = scope.split(',').next().unwrap_or_default().split('/');
        let (key, region) = (scope.next().unwrap_or_default(), scope.nth(1).unwrap_or_default());
        let mut line = head.lines().next().unwrap_or_default().split(' ');
        let (method, path) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
        // Through a proxy the whole address comes before the path.
        let path =
            path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("/", |at| rest.split_at(at).1));
        let path = path.split('?').next().unwrap_or_default();
        let cloud = match header("x-amz-target").and_then(|target| target.rsplit_once('.')) {
            Some((_, action)) => Some(format!("{region} {action}")),
            None if path != "/" => Some(format!("{region} {method} {path}")),
            None => None,
        };
        Self { cloud, account: key.strip_prefix("ASIA").map(str::to_owned) }
    }
}

/// A running fake. Ends with the runtime.
#[derive(Clone, Debug)]
pub struct FakeIam {
    account: Arc<Mutex<Account>>,
    /// Its address, as an endpoint URL.
    pub url: String,
}

impl FakeIam {
    /// Starts a fake with that account on a free port.
    pub async fn start(account: Account) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let fake = Self { account: Arc::new(Mutex::new(account)), url };
        let shared = fake.account.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap_or_else(PoisonError::into_inner).connections += 1;
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Ok(fake)
    }

    /// Looks into the account, or changes it.
    pub fn with<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        change(&mut self.account.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl FakeUser {
    /// A user with some keys: id, active, created.
    pub fn new(name: &str, id: &str, keys: &[(&str, bool, &str)]) -> Self {
        let keys = keys.iter().map(|(id, active, created)| FakeKey {
            id: (*id).to_owned(),
            active: *active,
            created: (*created).to_owned(),
            rotated: (*created).to_owned(),
        });
        let created = "2024-01-02T03:04:05Z".to_owned();
        Self {
            name: name.to_owned(),
            id: id.to_owned(),
            created,
            reported: None,
            keys: keys.collect(),
            mfa: false,
            policy: None,
        }
    }

    fn arn(&self) -> String {
        format!("arn:aws:iam::123456789012:user/{}", self.name)
    }
}

async fn serve(mut stream: TcpStream, account: Arc<Mutex<Account>>) {
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let text = String::from_utf8_lossy(buffer.get(..head).unwrap_or_default()).into_owned();
        let asked = Asked::of(&text);
        let text = text.to_ascii_lowercase();
        let length =
            text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
        while buffer.len() < head + length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body: Vec<u8> = buffer.drain(..head + length).skip(head).collect();
        let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
        let answer = {
            let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
            account.bytes += (head + length) as u64;
            let date = if account.date.is_empty() { String::new() } else { format!("Date: {}\r\n", account.date) };
            let ended = account.ended.as_deref().is_some_and(|token| says_token(&text, token));
            let answer = match &asked.cloud {
                _ if ended => account.refuse(&form),
                Some(what) => account.of_cloud(what),
                None => account.answer(&form, &asked),
            };
            (answer, date)
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
        let ((status, text, cut), date) = answer;
        let claimed = if cut { text.len() + 100 } else { text.len() };
        let head = format!("HTTP/1.1 {status} X\r\n{date}Content-Type: text/xml\r\nContent-Length: {claimed}\r\n\r\n");
        if stream.write_all((head + &text).as_bytes()).await.is_err() || cut {
            return;
        }
    }
}

/// Whether a head, in lower case, carries that session token.
fn says_token(head: &str, token: &str) -> bool {
    head.lines().any(|line| line.strip_prefix("x-amz-security-token:").is_some_and(|it| it.trim() == token))
}

impl Account {
    fn refuse(&mut self, form: &HashMap<String, String>) -> (u16, String, bool) {
        *self.calls.entry(form.get("Action").cloned().unwrap_or_default()).or_default() += 1;
        error(403, "ExpiredToken", "The security token included in the request is expired")
    }

    fn of_cloud(&mut self, what: &str) -> (u16, String, bool) {
        let count = self.calls.entry(what.to_owned()).or_default();
        *count += 1;
        let nth = usize::try_from(*count - 1).unwrap_or_default();
        let answers = self.cloud.get(what).map(Vec::as_slice).unwrap_or_default();
        match answers.get(nth).or(answers.last()) {
            Some((status, body)) => (*status, body.clone(), false),
            None => {
                (400, r#"{"__type":"AccessDeniedException","message":"not authorised to perform this"}"#.into(), false)
            }
        }
    }

    fn assume(&self, form: &HashMap<String, String>) -> (u16, String, bool) {
        let account = form.get("RoleArn").and_then(|arn| arn.split(':').nth(4)).unwrap_or_default();
        let agreed = self.external_id.is_none_or(|wanted| form.get("ExternalId").is_some_and(|it| it == wanted));
        if self.locked.contains(&account) || !agreed {
            return error(403, "AccessDenied", "not authorized to perform: sts:AssumeRole");
        }
        let result = format!(
            "<Credentials><AccessKeyId>ASIA{account}</AccessKeyId><SecretAccessKey>not-a-secret</SecretAccessKey>\
             <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
        );
        (200, format!("<AssumeRoleResponse><AssumeRoleResult>{result}</AssumeRoleResult></AssumeRoleResponse>"), false)
    }

    fn answer(&mut self, form: &HashMap<String, String>, asked: &Asked) -> (u16, String, bool) {
        let action = form.get("Action").cloned().unwrap_or_default();
        let count = self.calls.entry(action.clone()).or_default();
        *count += 1;
        let nth = *count;
        if !self.admits(&action) {
            self.throttled += 1;
            return error(400, "Throttling", "Rate exceeded");
        }
        let from = self.after.get(action.as_str()).copied().unwrap_or(0);
        match self.faults.get(action.as_str()).filter(|_| nth > from) {
            Some(Fault::Error(status, code, message)) => return error(*status, code, message),
            Some(Fault::Garbage(text)) => return (200, (*text).to_owned(), false),
            Some(Fault::Cut) => return (200, format!("<{action}Response><{action}Result>"), true),
            None => {}
        }
        let result = match action.as_str() {
            "AssumeRole" => return self.assume(form),
            "GenerateServiceLastAccessedDetails" => "<JobId>job</JobId>".to_owned(),
            "GetServiceLastAccessedDetails" => {
                // The job takes its time: it has ended when it is asked for the second time.
                let state = if nth % 3 == 1 { "IN_PROGRESS" } else { "COMPLETED" };
                let service = |space: &str, used: &str| {
                    format!(
                        "<member><ServiceName>{space}</ServiceName><ServiceNamespace>{space}</ServiceNamespace>{used}</member>"
                    )
                };
                let used = "<LastAuthenticated>2026-11-01T00:00:00Z</LastAuthenticated>";
                format!(
                    "<JobStatus>{state}</JobStatus><JobCreationDate>2026-11-24T05:00:00Z</JobCreationDate>\
                     <JobCompletionDate>2026-11-24T05:00:01Z</JobCompletionDate><ServicesLastAccessed>{}{}{}\
                     </ServicesLastAccessed><IsTruncated>false</IsTruncated>",
                    service("s3", used),
                    service("sqs", ""),
                    service("iam", "")
                )
            }
            "DescribeRegions" => {
                let regions =
                    ["eu-west-1", "us-east-1"].map(|it| format!("<item><regionName>{it}</regionName></item>"));
                let list = format!("<regionInfo>{}</regionInfo>", regions.concat());
                return (200, format!("<DescribeRegionsResponse>{list}</DescribeRegionsResponse>"), false);
            }
            "GetCallerIdentity" if asked.account.is_some() => {
                let account = asked.account.as_deref().unwrap_or_default();
                let arn = format!("arn:aws:sts::{account}:assumed-role/provost/provost");
                format!("<Arn>{arn}</Arn><UserId>AROA:provost</UserId><Account>{account}</Account>")
            }
            "GetCallerIdentity" => {
                let arn = self.caller.unwrap_or("arn:aws:iam::123456789012:user/eyes");
                format!("<Arn>{arn}</Arn><UserId>AIDAEYES</UserId><Account>123456789012</Account>")
            }
            "GenerateCredentialReport" => "<State>COMPLETE</State>".to_owned(),
            "GetCredentialReport" => {
                let content = STANDARD.encode(self.report());
                let generated = &self.generated;
                format!(
                    "<Content>{content}</Content><ReportFormat>text/csv</ReportFormat><GeneratedTime>{generated}</GeneratedTime>"
                )
            }
            "GetAccountAuthorizationDetails" => self.details(form),
            "ListUsers" => {
                let users = self.users.iter().map(core).collect();
                self.paged(form, "Users", users)
            }
            "ListAccessKeys" => match self.users.iter().find(|user| Some(&user.name) == form.get("UserName")) {
                Some(user) => {
                    self.paged(form, "AccessKeyMetadata", user.keys.iter().map(|key| listed(user, key)).collect())
                }
                None => return error(404, "NoSuchEntity", "The user cannot be found."),
            },
            "ListVirtualMFADevices" => {
                let device = |user: &FakeUser| {
                    let (serial, user) = (format!("{}/mfa", user.id), core(user));
                    format!("<SerialNumber>{serial}</SerialNumber><User>{user}</User>")
                };
                let devices = self.users.iter().filter(|user| user.mfa).map(device).collect();
                self.paged(form, "VirtualMFADevices", devices)
            }
            "ListServerCertificates" => "<ServerCertificateMetadataList/><IsTruncated>false</IsTruncated>".to_owned(),
            "ListSigningCertificates" => "<Certificates/><IsTruncated>false</IsTruncated>".to_owned(),
            _ => "<IsTruncated>false</IsTruncated>".to_owned(),
        };
        (200, format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"), false)
    }

    fn admits(&mut self, action: &str) -> bool {
        let Some((rate, burst)) = self.bucket else { return true };
        let now = Instant::now();
        let (level, at) = self.levels.entry(action.to_owned()).or_insert((burst, now));
        *level = (*level + rate * now.duration_since(*at).as_secs_f64()).min(burst);
        *at = now;
        let admits = *level >= 1.0;
        *level -= f64::from(u8::from(admits));
        admits
    }

    fn details(&self, form: &HashMap<String, String>) -> String {
        if !form.values().any(|value| value == "User") {
            return "<IsTruncated>false</IsTruncated>".to_owned();
        }
        let policy = |document: &str| {
            let document = escaped(document);
            format!("<member><PolicyName>own</PolicyName><PolicyDocument>{document}</PolicyDocument></member>")
        };
        let user = |user: &FakeUser| {
            let own = user.policy.as_deref().map(policy).unwrap_or_default();
            format!("{}<UserPolicyList>{own}</UserPolicyList>", core(user))
        };
        let roles = self.roles.iter().map(|(name, document)| {
            let (arn, own) = (format!("arn:aws:iam::123456789012:role/{name}"), policy(document));
            format!(
                "<member><Path>/</Path><RoleName>{name}</RoleName><RoleId>AROA{name}</RoleId><Arn>{arn}</Arn>\
                 <CreateDate>2024-01-02T03:04:05Z</CreateDate><RolePolicyList>{own}</RolePolicyList></member>"
            )
        });
        let roles: String = roles.collect();
        let users = self.paged(form, "UserDetailList", self.users.iter().map(user).collect());
        format!("<RoleDetailList>{roles}</RoleDetailList>{users}")
    }

    fn paged(&self, form: &HashMap<String, String>, list: &str, all: Vec<String>) -> String {
        let from: usize = form.get("Marker").and_then(|marker| marker.parse().ok()).unwrap_or(0);
        let most = if self.page == 0 { usize::MAX } else { self.page };
        let mut out = format!("<{list}>");
        for one in all.iter().skip(from).take(most) {
            let _ = write!(out, "<member>{one}</member>");
        }
        let end = from.saturating_add(most);
        let more = if end < all.len() {
            format!("<IsTruncated>true</IsTruncated><Marker>{end}</Marker>")
        } else {
            String::new()
        };
        format!("{out}</{list}>{}", if more.is_empty() { "<IsTruncated>false</IsTruncated>" } else { &more })
    }

    fn report(&self) -> String {
        let mut out = String::from(HEADER);
        for user in &self.users {
            let created = user.reported.as_ref().unwrap_or(&user.created);
            let _ = write!(out, "\n{},{},{created},false,N/A,N/A,N/A,{}", user.name, user.arn(), user.mfa);
            for slot in 0..2 {
                match user.keys.get(slot).filter(|key| key.active || !self.hides_inactive) {
                    Some(key) => {
                        let _ = write!(out, ",{},{},2026-11-01T00:00:00Z,us-east-1,s3", key.active, key.rotated);
                    }
                    None => out.push_str(",false,N/A,N/A,N/A,N/A"),
                }
            }
        }
        out
    }
}

const HEADER: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,\
access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,\
access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service";

fn core(user: &FakeUser) -> String {
    let FakeUser { name, id, created, .. } = user;
    let (name, arn) = (escaped(name), escaped(&user.arn()));
    format!(
        "<Path>/</Path><UserName>{name}</UserName><UserId>{id}</UserId><Arn>{arn}</Arn><CreateDate>{created}</CreateDate>"
    )
}

fn listed(user: &FakeUser, key: &FakeKey) -> String {
    let status = if key.active { "Active" } else { "Inactive" };
    let FakeKey { id, created, .. } = key;
    let name = escaped(&user.name);
    format!(
        "<UserName>{name}</UserName><AccessKeyId>{id}</AccessKeyId><Status>{status}</Status><CreateDate>{created}</CreateDate>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn error(status: u16, code: &str, message: &str) -> (u16, String, bool) {
    (
        status,
        format!("<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"),
        false,
    )
}
