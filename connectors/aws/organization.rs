//! All accounts of an organization: a role is taken on in each, and they are looked at beside each other in one budget.
//! It must never let the failure of one account touch another, nor take an account that left for one that is empty.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream::FuturesUnordered};
use provost_client::Failure;
use provost_model::{Cover, Cursor, Reading, Realm, Scope, Trouble, Why};
use serde::Deserialize;
use serde_json::json;

use super::{
    Aws, Caller,
    call::Rpc,
    count,
    lists::{self, paged},
    look::Looking,
    session::{Role, Session},
    settings::is_account,
};
use crate::{Bookmarks, Emitter, Stopped};

const LIST: Rpc = Rpc {
    operation: "organizations:ListAccounts",
    host: "organizations",
    service: "organizations",
    target: "AWSOrganizationsV20161128.ListAccounts",
};
/// The scope whose cursor remembers which accounts there were.
const SCOPE: &str = "organization/accounts";
/// Most elements of a page.
const PAGE: u32 = 20;
/// Accounts looked at at a time: what is known of the users of each is held meanwhile.
const AT_ONCE: usize = 8;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    accounts: Vec<Account>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Account {
    id: String,
    status: Option<String>,
    state: Option<String>,
}

/// Accounts by number, and whether each is active.
type Accounts = BTreeMap<String, bool>;

/// What the ones who look could write, of all accounts.
#[derive(Default)]
struct Eyes {
    could_write: BTreeSet<String>,
    unknown: bool,
}

/// The region of a partition where its organizations are asked about.
fn home(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "cn-northwest-1",
        _ if region.starts_with("us-gov-") => "us-gov-west-1",
        _ => "us-east-1",
    }
}

/// The path below which everything of an account lies.
fn path(account: &str) -> String {
    format!("accounts/{account}")
}

/// Looks at every account.
pub(super) async fn look(
    aws: &Aws,
    (session, caller): (&Session, &Caller),
    known: &Bookmarks,
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let Some(accounts) = accounts((session, caller), known, to).await? else { return Ok(()) };
    let own: BTreeSet<String> = accounts.keys().chain(&aws.settings.own_accounts).cloned().collect();
    let mut waiting = accounts.iter().filter(|(_, active)| **active).map(|(account, _)| account.as_str());
    let mut flying = FuturesUnordered::new();
    let mut eyes = Eyes::default();
    to.flush().await?;
    loop {
        while flying.len() < AT_ONCE {
            let Some(account) = waiting.next() else { break };
            let (path, own) = (path(account), &own);
            let (known, mut to) = (known.below(&path), to.below(&path));
            flying.push(async move {
                let could_write = Box::pin(one(aws, (session, caller), account, (&known, own), &mut to)).await;
                let flushed = to.flush().await;
                (account, could_write.and_then(|words| flushed.map(|()| words)))
            });
        }
        let Some((account, could_write)) = flying.next().await else { break };
        eyes.add(account, could_write?, account == caller.account);
    }
    to.eyes(eyes.told(), session.lasts()).await?;
    count(session, to).await
}

/// Looks at one account. Gives what the one who looks there could write.
async fn one(
    aws: &Aws,
    (session, caller): (&Session, &Caller),
    account: &str,
    (known, own): (&Bookmarks, &BTreeSet<String>),
    to: &mut Emitter,
) -> Result<Reading<Vec<String>>, Stopped> {
    let realm = Realm::new("aws", account);
    if account == caller.account {
        return aws.looking((session, caller), (known, &realm), own).look(to).await;
    }
    let entered = enter(aws, (session, caller), account).await;
    count(session, to).await?;
    match entered {
        Ok((entered, caller)) => {
            let looking = aws.looking((&entered, &caller), (known, &realm), own);
            Looking { archive: session, ..looking }.look(to).await
        }
        Err(failure) => {
            let place = failure.operation.clone();
            to.trouble(Trouble { place, why: failure.why, said: failure.said, blind_spot: false }).await?;
            Ok(Reading::NotCollected)
        }
    }
}

/// Takes on the role of an account, and makes sure that it is that account.
async fn enter(aws: &Aws, (session, caller): (&Session, &Caller), account: &str) -> Result<(Session, Caller), Failure> {
    let partition = caller.arn.split(':').nth(1).unwrap_or("aws");
    let name = aws.settings.role_name.as_deref().unwrap_or_default();
    let arn = format!("arn:{partition}:iam::{account}:role/{name}");
    let role = Role { arn, external_id: aws.settings.external_id.clone() };
    let session = session.assuming(&aws.settings, role).await?;
    let caller = session.caller().await?;
    if caller.account != account {
        let said = format!("the role belongs to account {}, not to {account}", caller.account);
        let operation = "sts:GetCallerIdentity".to_owned();
        return Err(Failure { operation, why: Why::Changed, code: String::new(), said });
    }
    Ok((session, caller))
}

/// The accounts of the organization; those of last time where they cannot be listed now, and nothing if nobody knows
/// any. What left is unwatched, and that is said.
async fn accounts(
    (session, caller): (&Session, &Caller),
    known: &Bookmarks,
    to: &mut Emitter,
) -> Result<Option<Accounts>, Stopped> {
    let scope = Scope::new(caller.realm(), SCOPE);
    let before = known.cursors.get(SCOPE).map(read).unwrap_or_default();
    let listed = list(session).await;
    count(session, to).await?;
    let accounts = match listed {
        Ok(accounts) => accounts,
        Err(failure) => {
            lists::failed(&scope, LIST.operation, &failure, to).await?;
            return Ok(Some(before).filter(|before| !before.is_empty()));
        }
    };
    for (account, was_active) in &before {
        let said = match accounts.get(account) {
            None => format!("account {account} left the organization: its records are kept, and not watched"),
            Some(false) if *was_active => format!("account {account} is closed or suspended: it is not watched"),
            Some(_) => continue,
        };
        to.unwatch(&Scope::new(Realm::new("aws", account), path(account))).await?;
        to.trouble(Trouble { place: path(account), why: Why::Changed, said, blind_spot: true }).await?;
    }
    to.begin(&scope, None).await?;
    let now = to.now();
    to.cover(&scope, None, now, Cover::Full { next: Some(Cursor(write(&accounts))), atomic: false }).await?;
    Ok(Some(accounts))
}

/// What there is of the organization, to whoever may list it.
pub(super) async fn list(session: &Session) -> Result<Accounts, Failure> {
    let region = home(session.region());
    let all = paged(LIST.operation, session, |token| async move {
        let mut body = json!({"MaxResults": PAGE});
        if let (Some(token), Some(body)) = (token, body.as_object_mut()) {
            body.insert("NextToken".to_owned(), json!(token));
        }
        let page: Page = session.rpc(&LIST, region, &body).await?;
        Ok((page.accounts, page.next_token))
    })
    .await?;
    let malformed = || {
        let said = "the answer names an account that is none".to_owned();
        Failure { operation: LIST.operation.to_owned(), why: Why::Malformed, code: String::new(), said }
    };
    let each = |it: Account| {
        let active = it.state.or(it.status).ok_or_else(malformed)? == "ACTIVE";
        if is_account(&it.id) { Ok((it.id, active)) } else { Err(malformed()) }
    };
    all.into_iter().map(each).collect()
}

fn read(cursor: &Cursor) -> Accounts {
    let text = String::from_utf8_lossy(&cursor.0);
    let line = |line: &str| line.split_once(' ').map(|(account, active)| (account.to_owned(), active == "active"));
    text.lines().filter_map(line).filter(|(account, _)| is_account(account)).collect()
}

fn write(accounts: &Accounts) -> Vec<u8> {
    let line = |(account, active): (&String, &bool)| format!("{account} {}", if *active { "active" } else { "not" });
    accounts.iter().map(line).collect::<Vec<_>>().join("\n").into_bytes()
}

impl Eyes {
    /// Adds what could be written in an account. Taking on roles is what the caller is there for.
    fn add(&mut self, account: &str, could_write: Reading<Vec<String>>, is_caller: bool) {
        let Reading::Known(words) = could_write else {
            self.unknown = true;
            return;
        };
        let beyond = words.iter().filter(|word| !(is_caller && word.starts_with("sts:AssumeRole")));
        self.could_write.extend(beyond.map(|word| format!("{word} in {account}")));
    }

    /// Known if something was found, or if every account could be looked into.
    fn told(self) -> Reading<Vec<String>> {
        if self.unknown && self.could_write.is_empty() {
            return Reading::NotCollected;
        }
        Reading::Known(self.could_write.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_survive_their_cursor() {
        let accounts: Accounts = [("111111111111".to_owned(), true), ("222222222222".to_owned(), false)].into();
        assert_eq!(read(&Cursor(write(&accounts))), accounts);
        assert!(read(&Cursor(b"nonsense\n12 active".to_vec())).is_empty());
    }

    #[test]
    fn what_could_be_written_is_told_by_account_and_roles_are_taken_on_by_the_caller_alone() {
        let words = |words: &[&str]| Reading::Known(words.iter().map(|it| (*it).to_owned()).collect());
        let mut eyes = Eyes::default();
        eyes.add("1", words(&["sts:AssumeRole", "s3:*"]), true);
        eyes.add("2", words(&["sts:AssumeRole"]), false);
        eyes.add("3", Reading::NotCollected, false);
        assert_eq!(eyes.told(), words(&["s3:* in 1", "sts:AssumeRole in 2"]));
        let mut eyes = Eyes::default();
        eyes.add("1", words(&[]), true);
        assert_eq!(eyes.told(), Reading::Known(Vec::new()));
        let mut eyes = Eyes::default();
        eyes.add("1", Reading::NotCollected, true);
        assert_eq!(eyes.told(), Reading::NotCollected);
    }
}
