//! Long lines, broken between words where a reader's screen ends.
//! It must never break a word: paths and ids are there to be copied.

/// The text in lines of so many columns; all but the first are indented by so many blanks.
pub fn broken(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut column = 0;
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        let starts = out.trim_start_matches(' ').is_empty();
        if index > 0 && !starts && column + 1 + length > width && length > 0 {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_only() {
        let table = [
            ("one two three", 9, 2, "one two\n  three"),
            ("  one two three", 9, 4, "  one two\n    three"),
            ("averylongwordindeed b", 5, 1, "averylongwordindeed\n b"),
            ("    averylongwordindeed", 5, 1, "    averylongwordindeed"),
            ("a  b", 9, 1, "a  b"),
            ("", 9, 1, ""),
        ];
        for (text, width, indent, expected) in table {
            assert_eq!(broken(text, width, indent), expected, "{text:?}");
        }
    }
}
