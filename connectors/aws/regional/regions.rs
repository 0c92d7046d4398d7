//! Which regions are looked at: those that are set, or those that the account has enabled.
//! It must never take a region that could not be asked about for one that is not there.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_xml::decode::{Document, XmlDecodeError, try_data};
use provost_client::Failure;
use provost_model::{Cover, Cursor, Scope, Trouble, Why};
use serde::Deserialize;
use serde_json::json;

use crate::{
    Emitter, Stopped,
    aws::{
        call::Rest,
        key_page,
        lists::{self, paged},
        look::Looking,
        session::Session,
        settings::{Regions, is_region},
        signed::Request,
    },
};

const DESCRIBE: &str = "ec2:DescribeRegions";
const LIST: Rest = Rest { operation: "account:ListRegions", host: "account", service: "account", method: "POST" };
/// The scope whose cursor remembers which regions were looked at.
const SCOPE: &str = "regions";
/// Most elements of a page.
const PAGE: u32 = 50;
/// Regions that have Bedrock's agents (AWS General Reference, "Amazon Bedrock endpoints and quotas").
const AGENTS: [&str; 14] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-central-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-west-2",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    regions: Vec<Region>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Region {
    region_name: String,
}

/// The partition of a region.
pub(super) fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The path below which everything of a region lies.
pub(in crate::aws) fn path(region: &str) -> String {
    format!("{SCOPE}/{region}")
}

/// Whether Bedrock's agents are to be found there.
pub(super) fn has_agents(region: &str) -> bool {
    AGENTS.contains(&region)
}

/// The regions to look at; nothing if that cannot be told. Those that were looked at before and are not any more are
/// unwatched.
pub(super) async fn chosen(looking: &Looking<'_>, to: &mut Emitter) -> Result<Option<Vec<String>>, Stopped> {
    let scope = Scope::new(looking.realm.clone(), SCOPE);
    let before: Vec<String> = looking.cursor(SCOPE).map(read).unwrap_or_default();
    let mut regions = match looking.regions {
        Regions::These(regions) => regions.clone(),
        Regions::Enabled => match enabled(looking.session).await {
            Ok(regions) => regions,
            Err(failure) if !before.is_empty() => {
                lists::failed(&scope, DESCRIBE, &failure, to).await?;
                return Ok(Some(before));
            }
            Err(failure) if failure.why == Why::Denied => {
                let own = looking.session.region();
                let said = format!("{}; only {own} is looked at, as regions are not set", failure.said);
                to.trouble(Trouble { place: DESCRIBE.to_owned(), why: Why::Denied, said, blind_spot: true }).await?;
                vec![own.to_owned()]
            }
            Err(failure) => {
                lists::failed(&scope, DESCRIBE, &failure, to).await?;
                return Ok(None);
            }
        },
    };
    regions.sort_unstable();
    regions.dedup();
    super::super::count(looking.session, to).await?;
    for left in before.iter().filter(|region| !regions.contains(region)) {
        to.unwatch(&Scope::new(looking.realm.clone(), path(left))).await?;
    }
    if regions.is_empty() && before.is_empty() {
        return Ok(None);
    }
    to.begin(&scope, None).await?;
    let next = Some(Cursor(regions.join("\n").into_bytes()));
    let now = to.now();
    to.cover(&scope, None, now, Cover::Full { next, atomic: true }).await?;
    Ok(Some(regions))
}

fn read(cursor: &Cursor) -> Vec<String> {
    String::from_utf8_lossy(&cursor.0).lines().map(str::to_owned).collect()
}

/// The regions that the account has enabled, by the first of two operations that may be asked.
async fn enabled(session: &Session) -> Result<Vec<String>, Failure> {
    let described = described(session).await;
    match described {
        Err(failure) if failure.why == Why::Denied => listed(session).await.map_err(|_| failure),
        described => described,
    }
}

/// By EC2: of all regions those that are enabled, unless others are asked for.
async fn described(session: &Session) -> Result<Vec<String>, Failure> {
    let (region, body) = (session.region(), b"Action=DescribeRegions&Version=2016-11-15");
    let uri = format!("{}/", session.origin_of("ec2", region));
    let request = Request {
        operation: DESCRIBE,
        method: "POST",
        uri: &uri,
        scope: (region, "ec2"),
        headers: &[("content-type", "application/x-www-form-urlencoded")],
        body,
    };
    let way = session.way(false).await?;
    let fault = |answer: &HttpResponse| key_page::error(answer.body().bytes().unwrap_or_default());
    let answer = session.patiently(DESCRIBE, || way.send(&request, fault)).await?;
    let names = names(answer.body().bytes().unwrap_or_default()).map_err(|_| super::malformed(DESCRIBE))?;
    if names.is_empty() { Err(super::malformed(DESCRIBE)) } else { Ok(names) }
}

/// The names in an answer of DescribeRegions.
fn names(body: &[u8]) -> Result<Vec<String>, XmlDecodeError> {
    let mut document = Document::try_from(body)?;
    let mut root = document.root_element()?;
    let mut names = Vec::new();
    while let Some(mut list) = root.next_tag() {
        if list.start_el().local() != "regionInfo" {
            continue;
        }
        while let Some(mut item) = list.next_tag() {
            while let Some(mut part) = item.next_tag() {
                if part.start_el().local() == "regionName" {
                    names.push(try_data(&mut part)?.into_owned());
                }
            }
        }
    }
    // A name becomes part of a host.
    if names.iter().all(|name| is_region(name)) { Ok(names) } else { Err(XmlDecodeError::custom("no region")) }
}

async fn listed(session: &Session) -> Result<Vec<String>, Failure> {
    let region = session.region();
    let all = paged(LIST.operation, session, |token| async move {
        let mut body = json!({"MaxResults": PAGE, "RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"]});
        if let (Some(token), Some(body)) = (token, body.as_object_mut()) {
            body.insert("NextToken".to_owned(), json!(token));
        }
        let page: Page = session.rest(&LIST, region, ("/listRegions", Some(&body))).await?;
        Ok((page.regions, page.next_token))
    })
    .await?;
    let names: Vec<String> = all.into_iter().map(|region| region.region_name).collect();
    if names.iter().all(|name| is_region(name)) { Ok(names) } else { Err(super::malformed(LIST.operation)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_read_from_an_answer_and_nonsense_is_none() {
        let answer = |name: &str| {
            format!(
                "<DescribeRegionsResponse xmlns=\"x\"><requestId>r</requestId><regionInfo><item><regionName>{name}\
                 </regionName><regionEndpoint>e</regionEndpoint></item></regionInfo></DescribeRegionsResponse>"
            )
        };
        assert_eq!(names(answer("eu-west-1").as_bytes()).unwrap(), ["eu-west-1"]);
        assert!(names(answer("evil.example/").as_bytes()).is_err());
        assert!(names(b"{}").is_err());
    }

    #[test]
    fn a_region_names_its_partition() {
        let table = [("eu-west-1", "aws"), ("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")];
        for (region, wanted) in table {
            assert_eq!(partition(region), wanted);
        }
    }
}
