//! What a provider's answers say of its budgets: how many calls a window allows, and how many of them are left.
//! It must never take a header that makes no sense for a budget.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use http::HeaderMap;
use provost_model::Time;

use crate::dated::time_of;

/// One budget of a provider, as its last answer told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What it is for: the provider's name of the resource, or the read.
    pub resource: String,
    /// Calls that a window allows.
    pub limit: u64,
    /// Calls left in the present window.
    pub remaining: u64,
    /// When the next window begins, by the provider's clock.
    pub resets: Option<Time>,
}

/// The budgets told so far, by resource.
#[derive(Debug, Default)]
pub(crate) struct Budgets(Mutex<BTreeMap<String, Budget>>);

/// Most budgets kept.
const BUDGETS_MAX: usize = 1_000;
/// From this on a number of seconds is a moment since 1970, below it a span from now.
const MOMENT: i64 = 1_000_000_000;

impl Budgets {
    /// Learns from an answer to that read.
    pub(crate) fn learn(&self, operation: &str, headers: &HeaderMap) {
        let Some(budget) = told(operation, headers) else { return };
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if budgets.len() < BUDGETS_MAX || budgets.contains_key(&budget.resource) {
            budgets.insert(budget.resource.clone(), budget);
        }
    }

    pub(crate) fn known(&self) -> Vec<Budget> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

fn told(operation: &str, headers: &HeaderMap) -> Option<Budget> {
    let text = |name: String| headers.get(name).and_then(|value| value.to_str().ok());
    ["x-ratelimit-", "x-rate-limit-", "ratelimit-"].iter().find_map(|dialect| {
        let figure = |what: &str| text(format!("{dialect}{what}"))?.trim().parse::<u64>().ok();
        let (limit, remaining) = (figure("limit")?, figure("remaining")?);
        let reset = figure("reset").and_then(|it| i64::try_from(it).ok());
        let date = text("date".to_owned()).and_then(time_of);
        let resets = reset.and_then(|reset| match reset {
            MOMENT.. => Some(Time::from_seconds(reset)),
            span => date.map(|date| date + provost_model::Span::seconds(span)),
        });
        let resource = text(format!("{dialect}resource")).unwrap_or(operation).chars().take(200).collect();
        Some(Budget { resource, limit, remaining, resets })
    })
}
