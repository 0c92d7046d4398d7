//! What is checked of an expression before anything parses it, and the stack on which everything else happens.
//! It must never recurse over what it has not bounded.

use super::FilterError;

/// Longest expression, in bytes.
pub(super) const SOURCE_MAX: usize = 4096;
/// Deepest nesting of brackets.
pub(super) const NESTING_MAX: usize = 24;
/// Deepest tree of operators and calls after parsing.
pub(super) const DEPTH_MAX: usize = 160;
/// Comprehensions (`all`, `exists`, `map`, `filter`) inside one another: each multiplies the work of one row by up to
/// the length of a list, and one row cannot be interrupted.
pub(super) const LOOPS_MAX: usize = 2;
/// Stack of the thread that parses and evaluates, in bytes; reserved, and touched only as far as it is used.
pub(super) const STACK: usize = 64 << 20;

/// Refuses expressions that are too long or too deep to be parsed safely.
pub(super) fn check(source: &str) -> Result<(), FilterError> {
    if source.trim().is_empty() {
        return Err(FilterError::plain("the expression is empty"));
    }
    if source.len() > SOURCE_MAX {
        let said = format!("the expression has {} bytes, the most is {SOURCE_MAX}", source.len());
        return Err(FilterError::plain(said));
    }
    match deepest(source) {
        (depth, at) if depth > NESTING_MAX => {
            Err(FilterError::at(format!("brackets nest more than {NESTING_MAX} deep"), source, at..at + 1))
        }
        _ => Ok(()),
    }
}

/// The positions of everything outside quotes, so that a text in the expression is not mistaken for a part of it.
pub(super) fn outside_quotes(source: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    let mut escaped = false;
    source.char_indices().filter(move |(_, letter)| match quote {
        Some(_) if escaped => {
            escaped = false;
            false
        }
        Some(open) => {
            escaped = *letter == '\\';
            if *letter == open {
                quote = None;
            }
            false
        }
        None => {
            if matches!(letter, '"' | '\'') {
                quote = Some(*letter);
            }
            quote.is_none()
        }
    })
}

/// The deepest nesting, and where it is reached. Quotes are not believed here: a text that this reader and the parser
/// see differently must not hide brackets, so every opening bracket counts.
fn deepest(source: &str) -> (usize, usize) {
    let quoted_too = depth_of(source.char_indices());
    let outside = depth_of(outside_quotes(source));
    if source.contains("\"\"\"") || source.contains("'''") || source.contains("r\"") || source.contains("r'") {
        quoted_too.max(outside)
    } else {
        outside
    }
}

fn depth_of(letters: impl Iterator<Item = (usize, char)>) -> (usize, usize) {
    let (mut depth, mut deepest, mut place) = (0_usize, 0, 0);
    for (at, letter) in letters {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > deepest {
            (deepest, place) = (depth, at);
        }
    }
    (deepest, place)
}

/// Runs `work` on a thread with a big stack and waits for it.
pub(super) fn on_big_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, FilterError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("filter".into()).stack_size(STACK).spawn_scoped(scope, work);
        let thread = thread.map_err(|_| FilterError::plain("no thread could be started to evaluate the expression"))?;
        thread.join().map_err(|_| FilterError::plain("the expression could not be evaluated; please report it"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_a_text_do_not_nest() {
        assert!(check(&format!("name == \"{}\"", "(".repeat(100))).is_ok());
        assert!(check(&format!("{}1{}", "(".repeat(24), ")".repeat(24))).is_ok());
        assert!(check(&format!("{}1{}", "(".repeat(25), ")".repeat(25))).is_err());
        assert!(check(&format!("r\"\\\" {}", "[".repeat(3000))).is_err());
    }

    #[test]
    fn too_long_is_refused_before_it_is_read() {
        assert!(check(&"1+".repeat(3000)).is_err());
        assert!(check("  ").is_err());
    }
}
