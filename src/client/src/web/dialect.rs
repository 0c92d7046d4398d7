//! How providers tell of their budgets in headers: a handful of dialects, read into one form.
//! It must never take a figure that makes no sense for one that was told.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use provost_model::{Span, Time};

use crate::dated::time_of;

/// What an answer says of one budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The provider's own name for what the budget is for, if it has one.
    pub(crate) resource: Option<String>,
    /// Calls that a window allows, if said.
    pub(crate) limit: Option<u64>,
    /// Calls left in the present window.
    pub(crate) remaining: u64,
    /// How long the present window goes on, if said.
    pub(crate) lasts: Option<Duration>,
}

/// Names of the headers with limit, rest and reset, and of those that may name the resource.
///
/// GitHub, GitLab, Auth0, Datadog, SendGrid, Vercel, Netlify, Zoom, Docker Hub; Okta; Graph and drafts 0 to 6 of the IETF's
/// "RateLimit header fields"; OpenAI; Anthropic.
const TRIPLES: [([&str; 3], &[&str]); 5] = [
    (
        ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"],
        &["x-ratelimit-resource", "x-ratelimit-name", "x-ratelimit-category"],
    ),
    (["x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"], &[]),
    (["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"], &["ratelimit-name"]),
    (["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"], &[]),
    (
        [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
        &[],
    ),
];

/// Longest name of a resource.
const NAME_MAX: usize = 64;
/// From this on a number of seconds is a moment since 1970, below it a span from now.
const MOMENT: u64 = 1_000_000_000;
/// From this on a moment is in milliseconds.
const MILLIS: u64 = 1_000_000_000_000;
/// How long GitHub wants to be left alone after a secondary limit that says nothing else ("Exceeding the rate limit").
const SECONDARY: Duration = Duration::from_secs(60);

/// What the headers say of a budget.
pub(crate) fn told(headers: &HeaderMap) -> Option<Told> {
    TRIPLES.iter().find_map(|triple| by_triple(headers, triple)).or_else(|| by_field(headers))
}

fn by_triple(headers: &HeaderMap, ([limit, remaining, reset], names): &([&str; 3], &[&str])) -> Option<Told> {
    let remaining = leading(text(headers, remaining)?)?;
    Some(Told {
        resource: names.iter().find_map(|name| text(headers, name)).and_then(named),
        limit: text(headers, limit).and_then(leading),
        remaining,
        lasts: text(headers, reset).and_then(|reset| span(reset, headers)),
    })
}

/// The field `RateLimit` of later drafts: `"name";r=50;t=30`, `limit=100, remaining=50, reset=30`. Of several budgets the one
/// that is nearest to its end counts.
fn by_field(headers: &HeaderMap) -> Option<Told> {
    let field = text(headers, "ratelimit")?;
    if field.contains("remaining=") {
        let part = |name: &str| {
            let parts = field.split([',', ';']).filter_map(|part| part.trim().split_once('='));
            parts.filter(|part| part.0 == name).find_map(|part| leading(part.1))
        };
        let lasts = part("reset").map(Duration::from_secs);
        return Some(Told { resource: None, limit: part("limit"), remaining: part("remaining")?, lasts });
    }
    let policies: Vec<_> = text(headers, "ratelimit-policy").map(items).unwrap_or_default();
    let budgets = items(field).into_iter().filter_map(|(name, parameters)| {
        let limit = policies.iter().find(|policy| policy.0 == name).and_then(|policy| parameter(policy.1, "q"));
        let lasts = parameter(parameters, "t").map(Duration::from_secs);
        Some(Told { resource: named(name), limit, remaining: parameter(parameters, "r")?, lasts })
    });
    budgets.min_by_key(|budget| budget.remaining)
}

/// The items of a list (RFC 8941), as far as budgets need them: names, each with its parameters.
fn items(list: &str) -> Vec<(&str, &str)> {
    let parts = list.split(',').map(|item| item.split_once(';').unwrap_or((item, "")));
    parts.map(|(name, parameters)| (name.trim().trim_matches('"'), parameters)).collect()
}

fn parameter(parameters: &str, name: &str) -> Option<u64> {
    let pairs = parameters.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|pair| pair.0 == name).find_map(|pair| leading(pair.1))
}

/// How long the provider wants to be left alone, if the answer says so: `Retry-After` in seconds or as a moment, the end of a
/// window that is used up, or a secondary limit. Moments are held against the answer's own `Date`, not against our clock.
pub(crate) fn wait(answer: &Response<Bytes>, throttled: bool) -> Option<Duration> {
    let headers = answer.headers();
    let after = ["retry-after", "x-retry-after"].iter().find_map(|name| text(headers, name));
    if let Some(wait) = after.and_then(|after| span(after, headers)) {
        return Some(wait);
    }
    if !throttled {
        return None;
    }
    match told(headers) {
        Some(Told { remaining: 0, lasts: Some(lasts), .. }) => Some(lasts),
        _ if is_secondary(answer) => Some(SECONDARY),
        _ => None,
    }
}

/// Whether the words of an answer speak of a limit beside the one that is counted in headers.
pub(crate) fn is_secondary(answer: &Response<Bytes>) -> bool {
    let body = answer.body().get(..answer.body().len().min(4_096)).unwrap_or_default();
    let body = String::from_utf8_lossy(body).to_ascii_lowercase();
    body.contains("secondary rate limit") || body.contains("abuse detection")
}

/// A span from now: seconds, a moment in seconds or milliseconds since 1970, an HTTP date, RFC 3339, or `1m30s`.
fn span(said: &str, headers: &HeaderMap) -> Option<Duration> {
    let until = |moment: Time| {
        let wait = moment - text(headers, "date").and_then(time_of)?;
        Some(Duration::from_micros(u64::try_from(wait.as_micros()).unwrap_or_default()))
    };
    if let Ok(seconds) = said.parse::<u64>() {
        let seconds_of = |seconds: u64| i64::try_from(seconds).ok();
        return match seconds {
            MILLIS.. => until(Time::from_micros(seconds_of(seconds.checked_mul(1_000)?)?)),
            MOMENT.. => until(Time::from_seconds(seconds_of(seconds)?)),
            _ => Some(Duration::from_secs(seconds)),
        };
    }
    if let Ok(seconds) = said.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    match time_of(said).or_else(|| said.parse().ok()) {
        Some(moment) => until(moment),
        None => units(said),
    }
}

/// A span such as `6m0s` or `250ms`.
fn units(said: &str) -> Option<Duration> {
    let mut whole = Duration::ZERO;
    let mut rest = said;
    while !rest.is_empty() {
        let (number, following) = rest.split_at_checked(rest.find(|it: char| !it.is_ascii_digit() && it != '.')?)?;
        let ends = following.find(|it: char| it.is_ascii_digit()).unwrap_or(following.len());
        let (unit, following) = following.split_at_checked(ends)?;
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        whole = whole.checked_add(part)?;
        rest = following;
    }
    (!said.is_empty()).then_some(whole)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The number that a text begins with: some providers put the policy behind it, as in `100, 100;w=60`.
fn leading(text: &str) -> Option<u64> {
    let text = text.trim();
    text.get(..text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len()))?.parse().ok()
}

fn named(name: &str) -> Option<String> {
    let sound = !name.is_empty() && name.len() <= NAME_MAX && !name.contains(char::is_control);
    sound.then(|| name.to_owned())
}

/// The moment at which a window ends, by the provider's clock.
pub(crate) fn moment(headers: &HeaderMap, lasts: Duration) -> Option<Time> {
    let date = text(headers, "date").and_then(time_of)?;
    Some(date + Span::micros(i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: (&str, &str) = ("date", "Tue, 24 Nov 2026 12:00:00 GMT");
    /// A minute later, in seconds since 1970.
    const LATER: &str = "1795521660";

    fn answer(headers: &[(&'static str, &str)], body: &'static str) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::from_static(body.as_bytes()));
        for (name, value) in headers {
            answer.headers_mut().append(*name, value.parse().unwrap());
        }
        answer
    }

    #[test]
    fn every_dialect_of_budgets_is_understood() {
        type Case<'a> = (&'a str, &'a [(&'static str, &'a str)], (Option<&'a str>, Option<u64>, u64, Option<u64>));
        let table: [Case<'_>; 14] = [
            (
                "GitHub",
                &[
                    DATE,
                    ("x-ratelimit-limit", "5000"),
                    ("x-ratelimit-remaining", "4987"),
                    ("x-ratelimit-reset", LATER),
                    ("x-ratelimit-used", "13"),
                    ("x-ratelimit-resource", "core"),
                ],
                (Some("core"), Some(5_000), 4_987, Some(60)),
            ),
            (
                "Okta",
                &[DATE, ("x-rate-limit-limit", "600"), ("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", LATER)],
                (None, Some(600), 0, Some(60)),
            ),
            (
                "Graph",
                &[("ratelimit-limit", "150"), ("ratelimit-remaining", "20"), ("ratelimit-reset", "11")],
                (None, Some(150), 20, Some(11)),
            ),
            (
                "GitLab, whose reset is a moment",
                &[DATE, ("ratelimit-limit", "60"), ("ratelimit-remaining", "3"), ("ratelimit-reset", LATER)],
                (None, Some(60), 3, Some(60)),
            ),
            (
                "Datadog",
                &[
                    ("x-ratelimit-limit", "100"),
                    ("x-ratelimit-period", "60"),
                    ("x-ratelimit-remaining", "7"),
                    ("x-ratelimit-reset", "42"),
                    ("x-ratelimit-name", "api_keys_list"),
                ],
                (Some("api_keys_list"), Some(100), 7, Some(42)),
            ),
            (
                "OpenAI",
                &[
                    ("x-ratelimit-limit-requests", "60"),
                    ("x-ratelimit-remaining-requests", "59"),
                    ("x-ratelimit-reset-requests", "1m30s"),
                ],
                (None, Some(60), 59, Some(90)),
            ),
            (
                "Anthropic",
                &[
                    DATE,
                    ("anthropic-ratelimit-requests-limit", "50"),
                    ("anthropic-ratelimit-requests-remaining", "49"),
                    ("anthropic-ratelimit-requests-reset", "2026-11-24T12:00:30Z"),
                ],
                (None, Some(50), 49, Some(30)),
            ),
            ("no limit", &[("x-ratelimit-remaining", "5")], (None, None, 5, None)),
            ("no Date", &[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", LATER)], (None, None, 5, None)),
            (
                "a policy behind the limit",
                &[("ratelimit-limit", "10, 10;w=1, 100;w=60"), ("ratelimit-remaining", "9"), ("ratelimit-reset", "1")],
                (None, Some(10), 9, Some(1)),
            ),
            (
                "draft 7",
                &[("ratelimit", "limit=100, remaining=50, reset=5"), ("ratelimit-policy", "100;w=60")],
                (None, Some(100), 50, Some(5)),
            ),
            (
                "draft 8 and later",
                &[
                    ("ratelimit", "\"burst\";r=9;t=1, \"day\";r=3;t=900"),
                    ("ratelimit-policy", "\"burst\";q=10;w=1,\"day\";q=1000;w=86400"),
                ],
                (Some("day"), Some(1_000), 3, Some(900)),
            ),
            (
                "milliseconds",
                &[DATE, ("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "1795521660000")],
                (None, None, 1, Some(60)),
            ),
            (
                "a window that is over",
                &[DATE, ("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "1795521000")],
                (None, None, 1, Some(0)),
            ),
        ];
        for (provider, headers, (resource, limit, remaining, lasts)) in table {
            let lasts = lasts.map(Duration::from_secs);
            let expected = Told { resource: resource.map(str::to_owned), limit, remaining, lasts };
            assert_eq!(told(answer(headers, "").headers()), Some(expected), "{provider}");
        }
        let nonsense: [&[(&'static str, &str)]; 6] = [
            &[("x-ratelimit-limit", "5000")],
            &[("x-ratelimit-remaining", "many")],
            &[("x-ratelimit-remaining", "-1")],
            &[("x-ratelimit-remaining", "99999999999999999999999")],
            &[("ratelimit", "\"x\"")],
            &[],
        ];
        for headers in nonsense {
            assert_eq!(told(answer(headers, "").headers()), None, "{headers:?}");
        }
    }

    #[test]
    fn every_dialect_of_waiting_is_understood() {
        type Case<'a> = (&'a str, &'a [(&'static str, &'a str)], &'static str, Option<f64>);
        let secondary = r#"{"message":"You have exceeded a secondary rate limit. Please wait"}"#;
        let used_up = [DATE, ("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", LATER)];
        let table: [Case<'_>; 12] = [
            ("Slack, Graph, Asana, Box", &[("retry-after", "30")], "", Some(30.0)),
            ("a fraction", &[("retry-after", "0.5")], "", Some(0.5)),
            ("a date", &[DATE, ("retry-after", "Tue, 24 Nov 2026 12:01:00 GMT")], "", Some(60.0)),
            ("a date that is over", &[DATE, ("retry-after", "Tue, 24 Nov 2026 11:01:00 GMT")], "", Some(0.0)),
            ("Zoom", &[DATE, ("retry-after", "2026-11-24T12:00:10Z")], "", Some(10.0)),
            ("Docker Hub", &[DATE, ("x-retry-after", LATER)], "", Some(60.0)),
            ("a date without ours", &[("retry-after", "Tue, 24 Nov 2026 12:01:00 GMT")], "", None),
            ("Okta", &used_up, "", Some(60.0)),
            ("GitHub's secondary limit", &[("x-ratelimit-remaining", "4000")], secondary, Some(60.0)),
            ("it, with a time", &[("retry-after", "7")], secondary, Some(7.0)),
            ("nonsense", &[("retry-after", "soon")], "", None),
            ("more nonsense", &[("retry-after", "-1")], "", None),
        ];
        for (provider, headers, body, expected) in table {
            assert_eq!(wait(&answer(headers, body), true).map(|it| it.as_secs_f64()), expected, "{provider}");
        }
        assert_eq!(wait(&answer(&used_up, ""), false), None, "the last call of a window went well");
    }
}
