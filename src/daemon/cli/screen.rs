//! Where a command writes: answers to one side, remarks to the other, in the form asked for.
//! It must never write text from outside without its door.

use std::io::{self, Write};

use crate::{
    config::Problem,
    filter::{Filter, FilterError, LeftOut, Subject},
    output::{Cell, Format, Look, Row, broken, door, table, write::write_json, write_rows},
};

use super::Exit;

/// The two sides of a terminal, or whatever stands for them.
pub struct Screen<'a> {
    /// Answers.
    pub out: &'a mut dyn Write,
    /// Remarks.
    pub err: &'a mut dyn Write,
    /// The form of lists.
    pub format: Format,
    /// How tables look.
    pub look: Look,
    /// Most rows of a table, and the command that shows all; `None` for all of them.
    pub most: Option<(usize, &'static str)>,
}

/// Why a command could not answer.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The expression after `--where` is wrong.
    #[error("--where: {0}")]
    Filter(#[from] FilterError),
    /// The configuration is wrong.
    #[error("the configuration is wrong: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<Problem>),
    /// Nobody reads what is written.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

impl CliError {
    /// The status to exit with. A reader that went away (`| head`) had enough: that is no failure.
    pub fn exit(&self) -> Exit {
        match self {
            CliError::Filter(_) | CliError::Config(_) => Exit::Usage,
            CliError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            CliError::Write(_) => Exit::Failed,
        }
    }
}

impl Screen<'_> {
    /// Writes rows in the form asked for.
    pub fn rows<R: Row>(&mut self, rows: impl IntoIterator<Item = R>) -> io::Result<()> {
        let Some((most, whole)) = self.most.filter(|_| self.is_table()) else {
            return write_rows(rows, self.format, &self.look, self.out);
        };
        let mut rows = rows.into_iter();
        let shown: Vec<R> = rows.by_ref().take(most).collect();
        write_rows(shown, self.format, &self.look, self.out)?;
        match rows.count() {
            0 => Ok(()),
            more => self.remark(&format!("… and {more} more: {whole}")),
        }
    }

    /// The rows an expression keeps; how many it left out is remarked.
    pub fn kept<S: Subject>(&mut self, rows: Vec<S>, filter: Option<&Filter>) -> Result<Vec<S>, CliError> {
        let Some(filter) = filter else { return Ok(rows) };
        let (rows, left_out) = filter.keep(rows, self.look.now, crate::filter::DEADLINE)?;
        self.left_out(&left_out)?;
        Ok(rows)
    }

    /// Remarks how many rows an expression left out.
    pub fn left_out(&mut self, left_out: &LeftOut) -> io::Result<()> {
        if left_out.rows() > 0 { self.remark(&left_out.to_string()) } else { Ok(()) }
    }

    /// Whether people read it, not programs.
    pub fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Writes one value for programs: on one line, whatever the form asked for.
    pub fn value<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        write_json(value, self.out)?;
        self.out.write_all(b"\n")
    }

    /// One line to the answers.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", door::terminal(text))
    }

    /// Several lines that are our own text.
    pub fn lines(&mut self, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// Several lines that are our own text and may be long: broken where the screen ends, two columns further in.
    pub fn prose(&mut self, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| {
            let indent = line.len() - line.trim_start_matches(' ').len() + 2;
            writeln!(self.out, "{}", broken(&door::terminal(line), self.look.width.into(), indent))
        })
    }

    /// One line that comes from outside and may be long, two columns in: broken where the screen ends.
    pub fn told(&mut self, text: &str) -> io::Result<()> {
        let indent = text.len() - text.trim_start_matches(' ').len() + 4;
        let line = format!("  {}", door::terminal(text));
        writeln!(self.out, "{}", broken(&line, self.look.width.into(), indent))
    }

    /// One line to the remarks.
    pub fn remark(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err, "{}", door::terminal(text))
    }

    /// A small table below its title; nothing at all if there are no rows.
    pub fn section(&mut self, title: &str, header: &[&str], rows: Vec<Vec<Cell>>) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n{title}")?;
        table::draw(header, rows, &self.look, self.out)
    }

    /// Names and what they stand for, one a line, aligned; continued lines are indented.
    pub fn pairs(&mut self, pairs: &[(&str, String)]) -> io::Result<()> {
        let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        pairs.iter().try_for_each(|(name, text)| {
            let line = format!("{name:width$}  {}", door::terminal(text));
            writeln!(self.out, "{}", broken(&line, self.look.width.into(), width + 2))
        })
    }
}

#[cfg(test)]
pub(crate) mod fake {
    use super::*;
    use crate::output::inventory::samples::NOW;

    /// What a command wrote: answers and remarks.
    pub(crate) fn written(format: Format, command: impl FnOnce(&mut Screen<'_>)) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let look = Look { width: 100, colour: false, now: NOW };
        command(&mut Screen { out: &mut out, err: &mut err, format, look, most: None });
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_had_enough_is_no_failure() {
        assert_eq!(CliError::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit(), Exit::Done);
        assert_eq!(CliError::from(io::Error::from(io::ErrorKind::StorageFull)).exit(), Exit::Failed);
    }
}
