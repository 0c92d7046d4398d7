//! Lists in pages: every style reaches its end, and none that breaks off is taken for whole.

use super::*;
use crate::web::pages::{End, Paging};

/// Seven records in pages of three, in whatever style is asked for.
async fn seven() -> Loopback {
    Loopback::start(|asked| {
        let value = |name: &str| {
            let query = asked.target.split_once('?').map_or("", |it| it.1);
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|pair| pair.0 == name).map(|pair| pair.1.parse::<usize>().unwrap()).next_back()
        };
        let style = asked.target.split(['/', '?']).nth(1).unwrap().to_owned();
        let from = match style.as_str() {
            "number" => (value("page").unwrap() - 1) * 3,
            "stuck" => 0,
            _ => value("from").or(value("after").map(|last| last + 1)).unwrap_or_default(),
        };
        let records: Vec<_> = (from..(from + 3).min(7)).map(|id| json!({ "id": id })).collect();
        let to = from + records.len();
        let mut body = json!({ "data": records, "total": 7, "pages": "3", "more": to < 7 });
        let link = format!("</{style}?from={to}&n=1>; rel=\"next\"");
        let mut headers = Vec::new();
        match style.as_str() {
            "link" if to < 7 => headers.push(("link", link.as_str())),
            "next" if to < 7 => body["next"] = format!("?from={to}").into(),
            "cursor" if to < 7 => body["meta"] = json!({ "cursor": to }),
            "cursor" => body["meta"] = json!({ "cursor": "" }),
            "loop" => body["meta"] = json!({ "cursor": 3 }),
            "circle" => body["next"] = "/circle?from=0".into(),
            "away" => body["next"] = "https://elsewhere.example/away".into(),
            "none" => body["data"] = json!(null),
            "lost" => body["meta"] = json!({}),
            _ => {}
        }
        Reply::new(200, &headers, body.to_string())
    })
    .await
}

async fn read(web: &Web, style: &str, paging: Paging) -> Result<Vec<u64>, Failure> {
    let ask = Ask::get("GET /{style}", &[style]).header("x-kept", "1");
    let mut pages = web.pages(ask, paging).records_at("/data").at_most(5);
    if style == "lost" {
        pages = pages.total_at("/total");
    }
    let mut found = Vec::new();
    while let Some(page) = pages.next().await? {
        found.extend(page.records()?.iter().map(|record| record["id"].as_u64().unwrap()));
    }
    assert!(pages.next().await.unwrap().is_none());
    Ok(found)
}

fn cursor(more: Option<&str>) -> Paging {
    Paging::Cursor { at: "/meta/cursor".into(), parameter: "from".into(), more: more.map(str::to_owned) }
}

fn offset(end: End) -> Paging {
    Paging::Offset { parameter: "from".into(), end }
}

fn number(end: End) -> Paging {
    Paging::Number { parameter: "page".into(), first: 1, end }
}

#[tokio::test]
async fn every_style_reaches_its_end() {
    let to = seven().await;
    let web = web(&to, &["GET /{style}"]);
    let last = Paging::LastRecord { at: "/id".into(), parameter: "after".into(), more: "/more".into() };
    let table = [
        ("link", Paging::Link, 3),
        ("next", Paging::Next { at: "/next".into() }, 3),
        ("cursor", cursor(None), 3),
        ("cursor", cursor(Some("/more")), 3),
        ("last", last, 3),
        ("offset", offset(End::Empty), 4),
        ("offset", offset(End::Short(3)), 3),
        ("offset", offset(End::Total("/total".into())), 3),
        ("offset", offset(End::More("/more".into())), 3),
        ("number", number(End::Empty), 4),
        ("number", number(End::Short(3)), 3),
        ("number", number(End::Pages("/pages".into())), 3),
    ];
    for (style, paging, calls) in table {
        web.begin();
        assert_eq!(read(&web, style, paging.clone()).await.unwrap(), [0, 1, 2, 3, 4, 5, 6], "{paging:?}");
        assert_eq!(web.calls().len(), calls, "{paging:?}");
    }
    assert!(to.asked().iter().all(|asked| asked.header("x-kept") == "1"));
}

#[tokio::test]
async fn a_list_that_does_not_end_as_it_should_is_no_list() {
    let to = seven().await;
    let web = web(&to, &["GET /{style}"]);
    let next = || Paging::Next { at: "/next".into() };
    let table = [
        ("loop", cursor(None), "same cursor"),
        ("circle", next(), "same next page"),
        ("stuck", offset(End::Empty), "same page"),
        ("stuck", number(End::Total("/total".into())), "same page"),
        ("away", next(), "another place"),
        ("none", Paging::Whole, "no list of records at /data"),
        ("offset", cursor(Some("/more")), "no cursor"),
        ("offset", cursor(Some("/nothing")), "not said at /nothing"),
        ("offset", offset(End::Total("/nothing".into())), "not said at /nothing"),
        ("lost", cursor(None), "3 of 7"),
    ];
    for (style, paging, says) in table {
        let failure = read(&web, style, paging).await.unwrap_err();
        assert!(failure.said.contains(says), "{style}: {failure}");
    }
    let mut pages = web.pages(Ask::get("GET /{style}", &["link"]), Paging::Link).records_at("/data").at_most(2);
    assert!(pages.next().await.unwrap().is_some() && pages.next().await.unwrap().is_some());
    for _ in 0..2 {
        assert_eq!(pages.next().await.unwrap_err().why, Why::TooLarge, "it goes on failing");
    }
}
