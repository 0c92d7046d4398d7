//! Marks of sagas in words that people write too: a comment, a title. The mark comes first, and what people wrote stays behind.
//! It must never take a word of people's for a mark.

/// How the marks of sagas begin.
const MARK: &str = "provost";

/// Our two words at the beginning, and what is behind them.
pub(super) fn split(words: &str) -> (Option<String>, &str) {
    let mut parts = words.splitn(3, ' ');
    match (parts.next(), parts.next()) {
        (Some(MARK), Some(id)) => (Some(format!("{MARK} {id}")), parts.next().unwrap_or_default()),
        _ => (None, words),
    }
}

/// The mark, and what people wrote, without a mark of before.
pub(super) fn with(mark: &str, words: &str) -> String {
    format!("{mark} {}", split(words).1).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_not_heaped_up_and_what_people_wrote_stays() {
        assert_eq!(with("provost 7", "deploy of acme"), "provost 7 deploy of acme");
        assert_eq!(with("provost 8", "provost 7 deploy of acme"), "provost 8 deploy of acme");
        assert_eq!(with("provost 8", "provost 7"), "provost 8");
        assert_eq!(split("provost 7 deploy"), (Some("provost 7".to_owned()), "deploy"));
        for words in ["provost", "provosts 7", "the provost 7", ""] {
            assert_eq!(split(words), (None, words));
        }
    }
}
