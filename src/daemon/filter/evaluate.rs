//! Putting rows to an expression, on a big stack and against a deadline.
//! It must never lose a row silently: each is kept, refused, or counted as left out.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use cel::{Context, ExecutionError, Value};
use provost_model::{Reading, Time};

use super::{
    Filter, FilterError, Subject, bounds,
    compile::{Asked, Wanted},
};

/// Longest time one call of [`Filter::keep`] may take.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How many rows were neither taken nor refused, by what was not known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut(BTreeMap<(String, String), u64>);

/// What an expression says of one row.
enum Said {
    Yes,
    No,
    /// Neither: that name has that reading.
    Unknown(String, String),
}

impl Filter {
    /// The rows the expression is true of, and a count of those it could not tell about.
    pub fn keep<S: Subject>(
        &self,
        rows: Vec<S>,
        now: Time,
        within: Duration,
    ) -> Result<(Vec<S>, LeftOut), FilterError> {
        bounds::on_big_stack(|| self.keep_here(rows, now, within))?
    }

    fn keep_here<S: Subject>(
        &self,
        rows: Vec<S>,
        now: Time,
        within: Duration,
    ) -> Result<(Vec<S>, LeftOut), FilterError> {
        let begun = Instant::now();
        let base = Context::default();
        let mut left_out = LeftOut::default();
        let mut kept = Vec::new();
        for row in rows {
            if begun.elapsed() > within {
                return Err(FilterError::plain(format!(
                    "the expression took more than {} s; narrow it",
                    within.as_secs()
                )));
            }
            match self.ask(&row, &base, now)? {
                Said::Yes => kept.push(row),
                Said::No => {}
                Said::Unknown(name, word) => left_out.count(name, word),
            }
        }
        Ok((kept, left_out))
    }

    /// Names without a value are left unbound. The language's `&&` and `||` then do what is wanted: `false && unknown`
    /// is false, `true || unknown` is true, and everything else that touches the unknown is neither.
    fn ask<S: Subject>(&self, row: &S, base: &Context<'_, '_>, now: Time) -> Result<Said, FilterError> {
        let mut scope = base.new_inner_scope();
        for wanted in &self.wanted {
            if let Some(value) = answer(row, wanted, now) {
                scope.add_variable_from_value(wanted.bound.as_str(), value);
            }
        }
        match scope.resolve(&self.expression) {
            Ok(Value::Bool(true)) => Ok(Said::Yes),
            Ok(Value::Bool(false)) => Ok(Said::No),
            Ok(other) => {
                let said = format!("the expression gives a value of type {}, not true or false", other.type_of());
                Err(FilterError::at(said, &self.source, 0..self.source.len()))
            }
            Err(error) => self.explained(error, row, now),
        }
    }

    fn explained<S: Subject>(&self, error: ExecutionError, row: &S, now: Time) -> Result<Said, FilterError> {
        match &error {
            ExecutionError::UndeclaredReference(name) => match self.wanted.iter().find(|wanted| wanted.bound == **name)
            {
                Some(wanted) => {
                    let word = row.look(wanted.name, now).word().replace('_', " ");
                    Ok(Said::Unknown(wanted.name.to_owned(), word))
                }
                None => Err(FilterError::plain(format!("there is no function {name:?}"))),
            },
            ExecutionError::NoSuchKey(key) => Ok(Said::Unknown((**key).clone(), "absent".to_owned())),
            ExecutionError::NoSuchOverload(it) if it.argument_types().iter().any(|kind| kind == "null_type") => {
                Ok(Said::Unknown(self.null_name(row, now), "absent".to_owned()))
            }
            ExecutionError::ValuesNotComparable(Value::Null, _)
            | ExecutionError::ValuesNotComparable(_, Value::Null) => {
                Ok(Said::Unknown(self.null_name(row, now), "absent".to_owned()))
            }
            ExecutionError::NoSuchOverload(it) => {
                let kinds = it.argument_types().join(" and ");
                let function = it.function().trim_matches('_');
                Err(FilterError::plain(format!("{function} cannot be applied to {kinds}")))
            }
            ExecutionError::ValuesNotComparable(one, other) => {
                let said = format!("a {} cannot be compared with a {}", one.type_of(), other.type_of());
                Err(FilterError::plain(said))
            }
            other => Err(FilterError::plain(other.to_string())),
        }
    }

    /// The name that has no value in this row.
    fn null_name<S: Subject>(&self, row: &S, now: Time) -> String {
        let null = self.wanted.iter().find(|wanted| matches!(row.look(wanted.name, now), Reading::Known(Value::Null)));
        null.map_or_else(|| "a value".to_owned(), |wanted| wanted.name.to_owned())
    }
}

fn answer<S: Subject>(row: &S, wanted: &Wanted, now: Time) -> Option<Value> {
    let reading = row.look(wanted.name, now);
    match wanted.what {
        Asked::Value => reading.known(),
        Asked::Word => Some(Value::from(reading.word())),
        Asked::Known => Some(Value::Bool(matches!(reading, Reading::Known(value) if value != Value::Null))),
    }
}

impl LeftOut {
    /// How many rows.
    pub fn rows(&self) -> u64 {
        self.0.values().sum()
    }

    /// Adds the counts of another part of the same list.
    pub fn add(&mut self, other: LeftOut) {
        for (what, rows) in other.0 {
            *self.0.entry(what).or_default() += rows;
        }
    }

    fn count(&mut self, name: String, word: String) {
        *self.0.entry((name, word)).or_default() += 1;
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        write!(f, "{rows} {} left out: unknown ", if rows == 1 { "row" } else { "rows" })?;
        for (index, ((name, word), rows)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} ({word}: {rows})", crate::output::door::terminal(name))?;
        }
        Ok(())
    }
}
