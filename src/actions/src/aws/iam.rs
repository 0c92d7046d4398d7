//! What IAM's query protocol has in common: its version, its lists in pages.
//! It must never take a list that does not end for a whole one.

use provost_client::{Ask, Element, Failure, Web};
use provost_model::Why;

use super::{form, strange};

/// Version of IAM's interface.
pub(crate) const VERSION: &str = "2010-05-08";
/// Most pages of a list. A user has two keys and, after every raise of a quota, twenty policies.
const PAGES: usize = 10;

/// Everything in a list of IAM, which has that name in the answer.
pub(crate) async fn listed(
    web: &Web,
    (read, list): (&str, &str),
    fields: &[(&str, &str)],
) -> Result<Vec<Element>, Failure> {
    let (mut all, mut marker) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let fields: Vec<_> = fields.iter().copied().chain(marker.as_deref().map(|it| ("Marker", it))).collect();
        let answer = web.ask(Ask::post(read, &[], form(VERSION, &fields))).await?;
        let page = answer.xml()?;
        let found = page.find(list).ok_or_else(|| strange(&answer))?;
        all.extend(found.inside().iter().cloned());
        marker = match (page.said("IsTruncated"), page.said("Marker")) {
            (Some("true"), Some(marker)) => Some(marker.to_owned()),
            (Some("true"), None) => return Err(strange(&answer)),
            _ => return Ok(all),
        };
    }
    Err(Failure::new(read, Why::TooLarge, "", "the list does not end"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        aws::{Account, testing::entry},
        testing::loopback::{Loopback, Reply},
    };

    const READ: &str = "POST / Action=ListAccessKeys";

    async fn all(page: impl Fn(&str) -> String + Send + Sync + 'static) -> (Result<usize, Why>, usize) {
        let to = Loopback::start(move |asked| Reply::new(200, &[], page(&asked.body))).await;
        let (account, _) = Account::of(&entry(&to.origin, ("AKIA0", "s"), &json!({})), None).unwrap();
        let web = account.way("iam", (&[READ], &[])).unwrap();
        let found = listed(&web, (READ, "L"), &[("UserName", "a")]).await;
        (found.map(|all| all.len()).map_err(|failure| failure.why), to.asked().len())
    }

    #[tokio::test]
    async fn a_list_is_followed_to_its_end_or_is_none() {
        let page = |rest: &str| format!("<R><L><member/><member/></L>{rest}</R>");
        let more = "<IsTruncated>true</IsTruncated>";
        assert_eq!(all(move |_| page("")).await, (Ok(2), 1));
        let two = move |body: &str| {
            page(&if body.contains("&Marker=m%2F1") { String::new() } else { format!("{more}<Marker>m/1</Marker>") })
        };
        assert_eq!(all(two).await, (Ok(4), 2));
        assert_eq!(all(move |_| page(more)).await, (Err(Why::Malformed), 1));
        assert_eq!(all(move |_| page(&format!("{more}<Marker>m</Marker>"))).await, (Err(Why::TooLarge), PAGES));
        assert_eq!(all(|_| "<R/>".to_owned()).await, (Err(Why::Malformed), 1));
    }
}
