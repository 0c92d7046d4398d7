//! A text as Slack's sections: each within its bound, cut between lines.
//! It must never leave code open at a cut: what stands in code is from outside.

use serde_json::{Value, json};

/// Longest text of a section (<https://docs.slack.dev/reference/block-kit/blocks/section-block/>), in the units that may
/// count most: those of UTF-16.
pub(crate) const SECTION_MAX: usize = 3_000;
/// Longest sign that stands for another: `&amp;`.
const ENTITY_MAX: usize = 5;

/// The blocks of a message; the first has that name, which Slack gives back with the message.
///
/// A message may have 50: two that follow each other are longer than one may be, so the longest text there is makes 21.
pub(crate) fn blocks(text: &str, name: Option<&str>) -> Vec<Value> {
    let section = |(at, text): (usize, String)| {
        // With `verbatim` nothing in it becomes a link or a mention by itself
        // (<https://docs.slack.dev/reference/block-kit/composition-objects/text-object/>).
        let mut block = json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } });
        if let (0, Some(name), Some(fields)) = (at, name, block.as_object_mut()) {
            fields.insert("block_id".to_owned(), name.into());
        }
        block
    };
    pieces(text).into_iter().enumerate().map(section).collect()
}

/// The text in pieces that a section can hold; none of them is empty.
fn pieces(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut piece = String::new();
    for line in text.lines().flat_map(short) {
        if !piece.is_empty() && length(&piece) + 1 + length(&line) > SECTION_MAX {
            all.push(std::mem::take(&mut piece));
        }
        if !piece.is_empty() {
            piece.push('\n');
        }
        piece.push_str(&line);
    }
    all.push(piece);
    // Slack refuses a section without a text, and blank lines between two of them show as nothing.
    all.iter().map(|piece| piece.trim_matches('\n').to_owned()).filter(|piece| !piece.trim().is_empty()).collect()
}

/// A line in parts that a section can hold: code that is cut is closed, and opened again in the next part.
fn short(line: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = line.to_owned();
    // Room for the sign that closes.
    while length(&rest) > SECTION_MAX {
        let end = end_of(&rest, SECTION_MAX - 1);
        let (part, left) = rest.split_at_checked(end).unwrap_or((rest.as_str(), ""));
        let open = part.matches('`').count() % 2 == 1;
        let mark = if open { "`" } else { "" };
        parts.push(format!("{part}{mark}"));
        rest = format!("{mark}{left}");
    }
    parts.push(rest);
    parts
}

/// Where a part of at most that length ends: between two letters, and not within a sign that stands for another.
fn end_of(line: &str, most: usize) -> usize {
    let mut taken = 0;
    let fits = |(_, letter): &(usize, char)| {
        taken += letter.len_utf16();
        taken <= most
    };
    let end = line.char_indices().take_while(fits).last().map_or(0, |(at, letter)| at + letter.len_utf8());
    let part = line.get(..end).unwrap_or(line);
    match part.rfind('&') {
        Some(at) if at > 0 && end - at < ENTITY_MAX && !part.get(at..).is_some_and(|it| it.contains(';')) => at,
        _ => end,
    }
}

fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_between_lines_and_nothing_of_it_is_lost() {
        let lines: Vec<String> = (0..400).map(|at| format!("{at}: {}", "x".repeat(60))).collect();
        let text = lines.join("\n");
        let split = pieces(&text);
        assert!(split.len() < 50 && split.iter().all(|it| length(it) <= SECTION_MAX), "{}", split.len());
        assert_eq!(split.join("\n"), text);
        assert_eq!(pieces("a\n\nb"), ["a\n\nb"]);
        assert_eq!(pieces("\n \n"), Vec::<String>::new());
        // Cut at a blank line, it begins no piece.
        let text = format!("{}\n\nb", "x".repeat(SECTION_MAX));
        assert_eq!(pieces(&text), [&"x".repeat(SECTION_MAX), "b"]);
        let longest = format!("{}\n", "é".repeat(748)).repeat(20);
        assert!(longest.len() <= 30_008 && pieces(&longest).len() <= 21);
    }

    #[test]
    fn code_is_not_left_open_and_no_sign_is_cut() {
        for before in 0..12 {
            let inside = "&lt;!channel&gt; *b* &amp;".repeat(500);
            let line = format!("{}`{inside}` end", "a".repeat(before));
            let parts = short(&line);
            assert!(parts.len() > 3 && parts.iter().all(|it| length(it) <= SECTION_MAX));
            let mut all = String::new();
            for part in &parts {
                assert_eq!(part.matches('`').count() % 2, 0, "{part}");
                let signs = part.matches('&').count();
                let whole = ["&lt;", "&gt;", "&amp;"].iter().map(|it| part.matches(it).count()).sum::<usize>();
                assert_eq!(signs, whole, "{part}");
                all.push_str(part);
            }
            assert_eq!(all.replace('`', ""), line.replace('`', ""));
        }
        // Letters of two units are counted as two.
        let wide = short(&"\u{1f600}".repeat(2_000));
        assert!(wide.len() == 2 && wide.iter().all(|it| length(it) <= SECTION_MAX));
    }

    #[test]
    fn only_the_first_block_has_the_name() {
        let all = blocks(&format!("{}\nb", "x".repeat(SECTION_MAX)), Some("n"));
        assert_eq!(all.len(), 2);
        assert_eq!((all[0]["block_id"].as_str(), all[1].get("block_id")), (Some("n"), None));
        assert_eq!(all[1]["text"]["verbatim"], true);
    }
}
