//! Pages that were recorded once, as a provider: so that everything is tested where no real one is at hand.
//! It must never answer a request that was not recorded.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answered, Asked, Upstream};

/// One exchange as it is kept: a line of JSON.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Page {
    pub asked: String,
    #[serde(default = "found", skip_serializing_if = "is_found")]
    pub status: u16,
    #[serde(default)]
    pub link: Option<String>,
    pub body: Value,
}

fn found() -> u16 {
    200
}

fn is_found(status: &u16) -> bool {
    *status == found()
}

impl Page {
    /// An exchange, without the address it happened at.
    pub(crate) fn of(asked: &Asked, answered: &Answered) -> Self {
        let host = format!("http://{}", asked.headers["host"]);
        let link = answered.headers.iter().find(|(name, _)| name == "link").map(|(_, value)| value.replace(&host, ""));
        let body = String::from_utf8_lossy(&answered.body).replace(&host, "");
        let body = serde_json::from_str(&body).unwrap_or(Value::Null);
        Self { asked: asked.name(), status: answered.status, link, body }
    }
}

/// The pages in a file, in the order in which they were kept.
pub(crate) fn pages(file: &Path) -> Vec<Page> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Keeps pages.
pub(crate) fn keep<'p>(file: &Path, pages: impl IntoIterator<Item = &'p Page>) {
    let line = |page| serde_json::to_value(page).unwrap().to_string() + "\n";
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, pages.into_iter().map(line).collect::<String>()).unwrap();
}

/// The pages in a file as a provider.
pub(crate) fn replayed(file: &Path) -> Arc<Upstream> {
    let pages: BTreeMap<String, Page> = pages(file).into_iter().map(|page| (page.asked.clone(), page)).collect();
    Arc::new(Upstream::Pages(Box::new(move |asked: &Asked| match pages.get(&asked.name()) {
        None => Answered::json(404, &json!({"error": format!("{} was not recorded", asked.name())})),
        Some(page) => {
            let mut answered = Answered::json(page.status, &page.body);
            answered.headers.extend(page.link.clone().map(|link| ("link".to_owned(), link)));
            answered
        }
    })))
}
