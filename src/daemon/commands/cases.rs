//! `cases …`: what is to be decided, and what people decide about it.
//! It must never decide for anybody: who asks is who the socket says it is.

use provost_engine::{
    govern::{Latency, asked_for},
    source_subject, store_subject,
};
use provost_model::{Finding, FindingState, Motion, Purpose, RecordId, Ruling, Span};
use provost_store::{Go, inventory::TicketRow};

use super::{Asked, CommandError, inventory::called, owners::live};
use crate::{
    cli::{
        self, Cases, Exit, Screen,
        cases::{DecisionRow, Stages, TicketShown, WholeCase},
    },
    docket::Docket,
    filter::Filter,
    jobs::{
        decide::{Desk, Say, Wanted, is_meant},
        tickets,
    },
    output::{CaseRow, FindingRow, inventory::id_matches},
    rows::Rows,
};

/// Answers one of them.
pub(super) fn cases(asked: &Asked<'_>, action: &Cases, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    match action {
        Cases::List { filter } => list(asked, filter.as_deref(), screen),
        Cases::Show { id } => show(asked, id, screen),
        Cases::Act { remedy, about } => decide(
            asked,
            about,
            &|faults| Ok(Ruling::Act { remedy: remedy.unwrap_or_else(|| asked_for(faults)) }),
            screen,
        ),
        Cases::Accept { until, control, about } => {
            decide(asked, about, &|_| Ok(Ruling::Accept { until: *until, control: control.clone() }), screen)
        }
        Cases::Reject { until, about } => decide(asked, about, &|_| Ok(Ruling::Reject { until: *until }), screen),
        Cases::Reassign { to, about } => {
            let people = asked.desk.wiring().yardstick.people.everybody(asked.desk.house.inventory())?;
            decide(asked, about, &|_| Ok(Ruling::Reassign { owner: live(&people, to, asked)? }), screen)
        }
        Cases::Contain { length, about } => {
            let seconds = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
            let until = screen.look.now + Span::seconds(seconds);
            decide(asked, about, &|_| Ok(Ruling::Contain { until }), screen)
        }
        Cases::Approve(word) => say(asked, word, Say::Approve, screen),
        Cases::Refuse(word) => say(asked, word, Say::Refuse, screen),
        Cases::Withdraw(word) => say(asked, word, Say::Withdraw, screen),
        Cases::Decisions => decisions(asked, screen),
        Cases::Guardrails { name } => super::guardrails::guardrails(asked, name.as_deref(), screen),
        Cases::Latency => latency(asked, screen),
    }
}

fn list(asked: &Asked<'_>, filter: Option<&str>, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let filter = filter.map(Filter::compile::<CaseRow>).transpose().map_err(cli::CliError::from)?;
    let (wiring, mut rows) = (asked.desk.wiring(), Vec::new());
    Docket::new(&asked.desk.house, &wiring, screen.look.now)?.each(&mut |row| {
        rows.push(row);
        Ok(if asked.stop.is_cancelled() { Go::Stop } else { Go::On })
    })?;
    Ok(cli::cases::list(rows, filter.as_ref(), screen)?)
}

fn show(asked: &Asked<'_>, typed: &str, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let subject = match subject(asked, typed, screen)? {
        Ok(subject) => subject,
        Err(exit) => return Ok(exit),
    };
    let (house, wiring, now) = (&asked.desk.house, asked.desk.wiring(), screen.look.now);
    let mut findings = house.inventory().findings_of(subject)?;
    let case = Docket::new(&asked.desk.house, &wiring, now)?.case(subject, &findings)?;
    findings.retain(|it| it.state == FindingState::Open);
    findings.sort_by_key(|it| std::cmp::Reverse(it.severity));
    let (name, about) = named(asked, subject, screen)?;
    let motions = house.inventory().motions_of(subject, None)?;
    let whole = WholeCase {
        case,
        about,
        findings: findings.iter().map(FindingRow::from).collect(),
        decisions: motions.iter().map(|motion| DecisionRow::of(motion, name.clone(), now)).collect(),
        tickets: tickets::of(house, &wiring, subject)?.into_iter().map(shown).collect(),
    };
    Ok(cli::cases::show(&whole, &findings, screen)?)
}

fn shown((route, row): (String, TicketRow)) -> TicketShown {
    let stands = match (row.there, row.closed) {
        (false, _) => "gone",
        (true, true) => "closed",
        (true, false) => "open",
    };
    let status = if row.status.is_empty() { stands.to_owned() } else { format!("{stands} ({})", row.status) };
    TicketShown { route, key: row.key, status, assignee: row.assignee, comments: row.comments, seen_at: row.seen_at }
}

/// What a subject is called, and the same in a line.
fn named(asked: &Asked<'_>, subject: RecordId, screen: &Screen<'_>) -> Result<(String, String), CommandError> {
    let (house, wiring) = (&asked.desk.house, asked.desk.wiring());
    if let Some(record) = house.inventory().record(subject, None)? {
        let rows = Rows::new(house.inventory(), &wiring.yardstick, screen.look.now)?;
        return Ok((record.name(), cli::inventory::in_a_line(&rows.of(&record)?)));
    }
    let source = house.inventory().source_names()?.into_iter().find(|name| source_subject(name) == subject);
    Ok(match source {
        Some(name) => (name.clone(), format!("source {name}")),
        None if subject == store_subject() => ("store".to_owned(), "the store".to_owned()),
        None => (subject.to_string(), subject.to_string()),
    })
}

/// The subject that is called so: a source by its name, the store, or a record.
pub(super) fn subject(
    asked: &Asked<'_>,
    typed: &str,
    screen: &mut Screen<'_>,
) -> Result<Result<RecordId, Exit>, CommandError> {
    if asked.desk.house.inventory().source_names()?.iter().any(|name| name == typed) {
        return Ok(Ok(source_subject(typed)));
    }
    if typed == "store" {
        return Ok(Ok(store_subject()));
    }
    called(asked.desk, typed, screen)
}

/// Asks for a decision about a subject. `ruling` is given its open faults that are meant.
fn decide(
    asked: &Asked<'_>,
    about: &cli::About,
    ruling: &dyn Fn(&[Finding]) -> Result<Ruling, CommandError>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let subject = match subject(asked, &about.id, screen)? {
        Ok(subject) => subject,
        Err(exit) => return Ok(exit),
    };
    let mut faults = asked.desk.house.inventory().findings_of(subject)?;
    faults.retain(|it| is_meant(it, &[]));
    let known = |rule: &String| faults.iter().any(|it| it.rule.eq_ignore_ascii_case(rule));
    if let Some(unknown) = about.rules.iter().find(|rule| !known(rule)) {
        let rules: Vec<&str> = faults.iter().map(|it| it.rule.as_str()).collect();
        let there =
            if rules.is_empty() { "nothing stands".to_owned() } else { format!("there stand {}", rules.join(", ")) };
        return Err(CommandError::Usage(format!("nothing that {unknown} found stands of {}: {there}", about.id)));
    }
    faults.retain(|it| is_meant(it, &about.rules));
    let ruling = ruling(&faults)?;
    let wanted = Wanted {
        subject,
        rules: about.rules.clone(),
        // What is found out by other means than a rule is contained too.
        routine: matches!(ruling, Ruling::Contain { .. }),
        ruling,
        purpose: purpose(&about.reason)?,
        emergency: false,
    };
    with_desk(asked, |desk| desk.ask(&wanted), screen)
}

fn say(asked: &Asked<'_>, word: &cli::DecisionWord, what: Say, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let motions = asked.desk.house.inventory().motions(None)?;
    let named = |it: &&Motion| it.id.to_string() == word.decision || id_matches(it.id, &word.decision);
    let mut found = motions.iter().filter(named);
    let (Some(motion), None) = (found.next(), found.next()) else {
        let said = if motions.iter().filter(named).count() > 1 { "more than one" } else { "no" };
        return Err(CommandError::Usage(format!(
            "{said} decision is called {:?}; see: provost cases decisions",
            word.decision
        )));
    };
    let (about, purpose) = ((motion.subject, motion.id), purpose(&word.reason)?);
    with_desk(asked, |desk| desk.say(about, what, &purpose), screen)
}

pub(super) fn purpose(words: &str) -> Result<Purpose, CommandError> {
    Purpose::stated(words).ok_or_else(|| CommandError::Usage("say why".to_owned()))
}

/// Does one thing about a decision, and shows what became of it.
pub(super) fn with_desk(
    asked: &Asked<'_>,
    step: impl FnOnce(&Desk<'_>) -> Result<Motion, crate::jobs::decide::DecideError>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let (house, wiring) = (&asked.desk.house, asked.desk.wiring());
    // People of the file alone: directories do not say who signs in here.
    let people = wiring.yardstick.people.of_file();
    let motion = step(&Desk { house, people, governance: &wiring.config.governance, uid: asked.uid })?;
    tracing::info!(
        decision = %motion.id,
        subject = %motion.subject,
        ruling = motion.ruling.word(),
        stage = motion.stage(house.now()).word(),
        "somebody decided"
    );
    if house.inventory().record(motion.subject, None)?.is_some() {
        asked.desk.judge(&[motion.subject])?;
    }
    let (name, _) = named(asked, motion.subject, screen)?;
    Ok(cli::cases::done(&DecisionRow::of(&motion, name, house.now()), screen)?)
}

fn decisions(asked: &Asked<'_>, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let now = screen.look.now;
    let mut rows = Vec::new();
    for motion in asked.desk.house.inventory().motions(None)? {
        let (name, _) = named(asked, motion.subject, screen)?;
        rows.push(DecisionRow::of(&motion, name, now));
    }
    Ok(cli::cases::decisions(rows, screen)?)
}

fn latency(asked: &Asked<'_>, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (wiring, now) = (asked.desk.wiring(), screen.look.now);
    let ways = Docket::new(&asked.desk.house, &wiring, now)?.ways()?;
    let stages = Stages {
        // Since when somebody is known is not kept yet: at once, or not at all.
        owner_known: Latency::of(ways.iter().map(|it| (it.since, it.owned.then_some(it.since))), now),
        decided: Latency::of(ways.iter().map(|it| (it.since, it.decided)), now),
        acted: Latency::of(ways.iter().map(|it| (it.since, it.acted)), now),
        verified: Latency::of(ways.iter().map(|it| (it.since, it.verified)), now),
    };
    Ok(cli::cases::latency(&stages, screen)?)
}
