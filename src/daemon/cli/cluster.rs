//! `cluster status`: which daemons are at work on the store, and who does what.
//! It must never show somebody as at work whose lease is over.

use provost_model::Time;
use serde::Serialize;

use super::{CliError, Exit, Screen};
use crate::output::{Cell, age};

/// Everybody at work on one store.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cluster {
    /// Whether several daemons can be at work on it.
    pub shared: bool,
    /// Where the store is.
    pub store: String,
    /// Daemons at work.
    pub members: Vec<Member>,
    /// Sources being looked at.
    pub work: Vec<Work>,
    /// Turns that one daemon does for all.
    pub turns: Vec<Turn>,
}

/// A daemon at work.
#[derive(Clone, Debug, Serialize)]
pub struct Member {
    /// Its id, made when it started.
    pub id: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Since when it runs.
    pub since: Time,
    /// When it was heard of last; `None` where it is alone.
    pub heard: Option<Time>,
}

/// A source being looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Work {
    /// The source.
    pub source: String,
    /// What of it; empty for all of it.
    pub scope: String,
    /// The daemon, by its id.
    pub holder: String,
    /// Since when, if that is written down already.
    pub since: Option<Time>,
    /// Until when it is this daemon's unless it is heard of again; `None` where nobody else can come.
    pub until: Option<Time>,
}

/// A turn that one daemon does for all.
#[derive(Clone, Debug, Serialize)]
pub struct Turn {
    /// Which.
    pub turn: String,
    /// The daemon, by its id.
    pub holder: String,
    /// Until when it is this daemon's unless it is heard of again.
    pub until: Option<Time>,
}

/// Shows everybody at work.
pub fn show(cluster: &Cluster, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(cluster)?;
        return Ok(Exit::Done);
    }
    let now = screen.look.now;
    let told = match (cluster.shared, cluster.members.len()) {
        (false, 0) => "an embedded store: no daemon runs; one at a time can hold it".to_owned(),
        (false, _) => "an embedded store: one daemon holds it and does everything".to_owned(),
        (true, 0) => "no daemon is at work on it".to_owned(),
        (true, 1) => "1 daemon is at work on it".to_owned(),
        (true, count) => format!("{count} daemons are at work on it"),
    };
    screen.pairs(&[("store", format!("{}, {told}", cluster.store))])?;
    let ago = |time: Option<Time>| -> Cell { time.map_or_else(|| "-".to_owned(), |it| age::since(it, now)).into() };
    let beat = |time: Option<Time>| -> Cell { time.map_or_else(|| "-".to_owned(), |it| seconds(it, now)).into() };
    let members = cluster.members.iter().map(|it| {
        let place: Cell = format!("{}/{}", it.host, it.pid).into();
        vec![Cell::ending(&it.id, 12), place, it.version.clone().into(), ago(Some(it.since)), beat(it.heard)]
    });
    screen.section("Daemons", &["id", "host/pid", "version", "runs for", "heard"], members.collect())?;
    let who = |holder: &str| -> Cell {
        let known = cluster.members.iter().find(|member| member.id == holder);
        known.map_or_else(|| Cell::ending(holder, 12), |it| format!("{}/{}", it.host, it.pid).into())
    };
    let work = cluster.work.iter().map(|it| {
        let scope = if it.scope.is_empty() { "everything" } else { &it.scope };
        vec![it.source.clone().into(), Cell::beginning(scope, 24), who(&it.holder), ago(it.since), beat(it.until)]
    });
    screen.section("Work", &["source", "scope", "by", "for", "lease ends"], work.collect())?;
    let turns = cluster.turns.iter().map(|it| vec![it.turn.clone().into(), who(&it.holder), beat(it.until)]);
    screen.section("Turns", &["turn", "by", "lease ends"], turns.collect())?;
    Ok(Exit::Done)
}

/// How far off a moment is, in seconds: leases are short.
fn seconds(moment: Time, now: Time) -> String {
    match (moment - now).as_micros() / 1_000_000 {
        ahead @ 1.. => format!("in {ahead} s"),
        behind => format!("{} s", behind.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use provost_model::Span;

    use super::*;
    use crate::{
        cli::screen::fake::written,
        output::{Format, inventory::samples::NOW},
    };

    fn two() -> Cluster {
        let member = |id: &str, host: &str| Member {
            id: id.into(),
            host: host.into(),
            pid: 42,
            version: "0.1.0".into(),
            since: NOW - Span::days(2),
            heard: Some(NOW - Span::seconds(7)),
        };
        let until = Some(NOW + Span::seconds(23));
        let work = |source: &str, scope: &str, holder: &str| Work {
            source: source.into(),
            scope: scope.into(),
            holder: holder.into(),
            since: Some(NOW - Span::seconds(90)),
            until,
        };
        Cluster {
            shared: true,
            store: "postgres://db/provost".into(),
            members: vec![member("0193ab-one", "alpha"), member("0193ab-two", "beta")],
            work: vec![work("aws-prod", "", "0193ab-two"), work("github", "org/42", "a-command-beside-the-daemons")],
            turns: vec![Turn { turn: "evaluate".into(), holder: "0193ab-one".into(), until }],
        }
    }

    #[test]
    fn everybody_is_shown_with_what_they_do() {
        let (out, _) = written(Format::Table, |screen| {
            show(&two(), screen).unwrap();
        });
        insta::assert_snapshot!(out, @r"
        store  postgres://db/provost, 2 daemons are at work on it

        Daemons
        ID          HOST/PID  VERSION  RUNS FOR  HEARD
        0193ab-one  alpha/42  0.1.0    2 d       7 s
        0193ab-two  beta/42   0.1.0    2 d       7 s

        Work
        SOURCE    SCOPE       BY            FOR    LEASE ENDS
        aws-prod  everything  beta/42       1 min  in 23 s
        github    org/42      …the-daemons  1 min  in 23 s

        Turns
        TURN      BY        LEASE ENDS
        evaluate  alpha/42  in 23 s
        ");
        let (out, _) = written(Format::Json, |screen| {
            show(&two(), screen).unwrap();
        });
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value["work"][1]["scope"], "org/42");
        assert_eq!(value["members"][0]["host"], "alpha");
    }

    #[test]
    fn one_daemon_holds_an_embedded_store() {
        let alone = Cluster { store: "/var/lib/provost".into(), ..Cluster::default() };
        let (out, _) = written(Format::Table, |screen| {
            show(&alone, screen).unwrap();
        });
        assert_eq!(out, "store  /var/lib/provost, an embedded store: no daemon runs; one at a time can hold it\n");
    }
}
