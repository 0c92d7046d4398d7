//! Rows in the four formats: table, JSON array, one JSON object a line, CSV.
//! It must never differ between formats in what it says, only in how.

use std::io::{self, Write};

use provost_model::Time;
use serde::Serialize;

use super::{door, table};

/// In which form rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: a table that fits the terminal.
    #[default]
    Table,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header line.
    Csv,
}

/// How tables look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Widest line, in columns.
    pub width: u16,
    /// Whether colours are wanted.
    pub colour: bool,
    /// The present, to which ages refer.
    pub now: Time,
}

/// Something that is listed.
pub trait Row: Serialize {
    /// Names of the fields, as pinned, in order: the header of CSV.
    const FIELDS: &'static [&'static str];
    /// Headings of the table, which shows less.
    const HEADINGS: &'static [&'static str];

    /// One plain text per field.
    fn fields(&self) -> Vec<String>;

    /// One cell per heading.
    fn cells(&self, now: Time) -> Vec<table::Cell>;
}

impl Look {
    /// What suits a terminal: `width` as it reports it, at most 100 columns for reading's sake when it is no terminal.
    pub fn suited(terminal: bool, width: Option<u16>, no_colour: bool, now: Time) -> Self {
        let width = if terminal { width.unwrap_or(100).clamp(60, 160) } else { 100 };
        Self { width, colour: terminal && !no_colour, now }
    }
}

/// Writes rows as they come; only the table waits for the last one.
pub fn write_rows<R: Row>(
    rows: impl IntoIterator<Item = R>,
    format: Format,
    look: &Look,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Table => {
            let cells = rows.into_iter().map(|row| row.cells(look.now)).collect();
            table::draw(R::HEADINGS, cells, look, out)
        }
        Format::Json => {
            out.write_all(b"[")?;
            for (index, row) in rows.into_iter().enumerate() {
                out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
                write_json(&row, out)?;
            }
            out.write_all(b"\n]\n")
        }
        Format::Ndjson => rows.into_iter().try_for_each(|row| {
            write_json(&row, out)?;
            out.write_all(b"\n")
        }),
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(R::FIELDS)?;
            for row in rows {
                let fields = row.fields();
                csv.write_record(fields.iter().map(|field| door::csv_cell(field).into_owned()))?;
            }
            csv.flush()
        }
    }
}

/// Writes one value as JSON on one line, without hidden characters.
pub fn write_json<T: Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, door::JsonDoor)).map_err(io::Error::from)
}
