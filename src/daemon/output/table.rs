//! Tables on a terminal: at most as wide as asked, coloured only where asked.
//! It must never let a cell through that did not pass the terminal's door.

use std::io::{self, Write};

use comfy_table::{Attribute, Cell as Drawn, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::{door, write::Look};

/// How a cell stands out, on terminals with colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Not at all.
    #[default]
    Plain,
    /// Less important than its neighbours.
    Faint,
    /// As it should be.
    Good,
    /// To be looked at.
    Warn,
    /// To be looked at now.
    Bad,
}

/// One cell: text from anywhere, and its tone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell of that text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }

    /// A cell of a text's end, so many letters at most: of paths and names made of paths the end tells them apart.
    pub fn ending(text: &str, most: usize) -> Self {
        match text.chars().count().checked_sub(most) {
            Some(over) if over > 0 => Self::new(format!("…{}", text.chars().skip(over + 1).collect::<String>())),
            _ => Self::new(text),
        }
    }

    /// A cell of a text's beginning, so many letters at most: of digests it is enough to tell them apart.
    pub fn beginning(text: &str, most: usize) -> Self {
        if text.chars().count() > most {
            return Self::new(format!("{}…", text.chars().take(most.saturating_sub(1)).collect::<String>()));
        }
        Self::new(text)
    }

    /// The same cell in another tone.
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// The text, as it came.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// Draws a table with that header.
pub fn draw(header: &[&str], rows: Vec<Vec<Cell>>, look: &Look, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(look.width);
    if look.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(header.iter().map(|name| {
        let cell = Drawn::new(name.to_uppercase());
        if look.colour { cell.add_attribute(Attribute::Bold) } else { cell }
    }));
    let short: Vec<bool> = (0..header.len()).map(|at| rows.iter().all(|row| is_short(row.get(at)))).collect();
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(drawn).collect::<Vec<_>>()));
    for (column, short) in table.column_iter_mut().zip(short) {
        column.set_padding((0, 2));
        column.set_constraint(if short {
            ColumnConstraint::ContentWidth
        } else {
            ColumnConstraint::LowerBoundary(Width::Fixed(8))
        });
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Columns of short cells are never broken, so that long ones give way.
fn is_short(cell: Option<&Cell>) -> bool {
    cell.is_none_or(|cell| cell.text.chars().count() <= 14)
}

fn drawn(cell: Cell) -> Drawn {
    let drawn = Drawn::new(door::terminal(&cell.text));
    match cell.tone {
        Tone::Plain => drawn,
        Tone::Faint => drawn.fg(Color::DarkGrey),
        Tone::Good => drawn.fg(Color::Green),
        Tone::Warn => drawn.fg(Color::Yellow),
        Tone::Bad => drawn.fg(Color::Red),
    }
}

#[cfg(test)]
mod tests {
    use provost_model::{Time, door::corpus::HOSTILE};

    use super::*;

    fn look(colour: bool) -> Look {
        Look { width: 100, colour, now: Time::from_seconds(0) }
    }

    fn drawn_text(rows: Vec<Vec<Cell>>, colour: bool) -> String {
        let mut out = Vec::new();
        draw(&["kind", "name", "where"], rows, &look(colour), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn long_names_keep_their_end_and_long_digests_their_beginning() {
        for (text, ending, beginning) in
            [("abcdef", "…def", "abc…"), ("abcd", "abcd", "abcd"), ("", "", ""), ("äöüßé", "…üßé", "äöü…")]
        {
            assert_eq!(Cell::ending(text, 4).text(), ending);
            assert_eq!(Cell::beginning(text, 4).text(), beginning);
        }
    }

    #[test]
    fn every_line_fits() {
        let long = "arn:aws:iam::123456789012:role/".to_owned() + &"very-long-name-".repeat(12);
        let text = drawn_text(vec![vec!["access_key".into(), long.clone().into(), long.into()]], false);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.lines().any(|line| line.starts_with("access_key ")), "{text}");
    }

    #[test]
    fn colour_only_where_asked() {
        let rows = || vec![vec![Cell::new("x").tone(Tone::Bad), "y".into(), "z".into()]];
        assert!(!drawn_text(rows(), false).contains('\u{1b}'));
        assert!(drawn_text(rows(), true).contains('\u{1b}'));
    }

    #[test]
    fn hostile_cells_are_shown_escaped() {
        for (text, tries) in HOSTILE {
            let drawn = drawn_text(vec![vec!["token".into(), (*text).into(), "w".into()]], false);
            assert_eq!(drawn.lines().count(), 2, "{tries}: {drawn:?}");
            assert!(drawn.chars().all(|letter| letter == '\n' || !letter.is_control()), "{tries}: {drawn:?}");
        }
    }
}
