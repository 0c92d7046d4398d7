//! The language that policies are written in: HCL as far as policies use it, and the same in JSON.
//! It must never take more time, depth or memory than its bounds allow: whoever may write a policy writes this text.

use serde_json::Value;

/// Longest policy that is read, in bytes; servers refuse longer ones well before.
const TEXT_MAX: usize = 1 << 20;
/// Deepest nesting of lists and objects.
const DEPTH_MAX: usize = 16;
/// Most rules of one policy.
pub(super) const RULES_MAX: usize = 10_000;

/// A rule as it is written: which paths, and what is said of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The pattern.
    pub(super) path: String,
    /// Names and values inside. The value is text where it is text, and an empty text where only its presence matters.
    pub(super) said: Vec<(String, Said)>,
}

/// What follows a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// One text, number or truth.
    One(String),
    /// A list of such.
    Many(Vec<String>),
    /// Something nested: it limits or widens, and is not looked into.
    Nested,
}

/// Where a policy cannot be read, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) line: usize,
}

/// The rules of a policy.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>, Unreadable> {
    if text.len() > TEXT_MAX {
        return Err(Unreadable { line: 1 });
    }
    if text.trim_start().starts_with('{') { json(text) } else { Reader { rest: text, line: 1 }.blocks() }
}

/// The same policy in JSON: `{"path": {"secret/*": {"capabilities": ["read"]}}}`, each object possibly in a list.
fn json(text: &str) -> Result<Vec<Block>, Unreadable> {
    let value: Value = serde_json::from_str(text).map_err(|error| Unreadable { line: error.line() })?;
    let wrong = Unreadable { line: 1 };
    let mut found = Vec::new();
    for paths in objects(value.get("path").unwrap_or(&Value::Null)).ok_or(wrong)? {
        for (path, rules) in paths {
            for rule in objects(rules).ok_or(wrong)? {
                let said = rule.iter().map(|(name, value)| (name.clone(), said(value))).collect();
                found.push(Block { path: path.clone(), said });
                if found.len() > RULES_MAX {
                    return Err(wrong);
                }
            }
        }
    }
    Ok(found)
}

/// An object, or the objects of a list; `None` if it is neither.
fn objects(value: &Value) -> Option<Vec<&serde_json::Map<String, Value>>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Object(one) => Some(vec![one]),
        Value::Array(many) => many.iter().map(Value::as_object).collect(),
        _ => None,
    }
}

fn said(value: &Value) -> Said {
    let text = |it: &Value| match it {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(it.to_string()),
        _ => None,
    };
    match value {
        Value::Array(many) => many.iter().map(text).collect::<Option<_>>().map_or(Said::Nested, Said::Many),
        other => text(other).map_or(Said::Nested, Said::One),
    }
}

/// What is left to read, and in which line that begins.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn blocks(mut self) -> Result<Vec<Block>, Unreadable> {
        let mut found = Vec::new();
        loop {
            self.blank()?;
            if self.rest.is_empty() {
                return Ok(found);
            }
            let name = self.name()?;
            self.blank()?;
            match (name.as_str(), self.first()) {
                ("path", Some('"')) => {
                    let path = self.string()?;
                    self.expect('{')?;
                    found.push(Block { path, said: self.object(0)? });
                    if found.len() > RULES_MAX {
                        return self.wrong();
                    }
                }
                // `name = "…"`, as older policies say, and whatever else is no rule.
                (_, Some('=')) => {
                    self.take(1);
                    self.value(0)?;
                }
                _ => return self.wrong(),
            }
        }
    }

    /// Names and values up to the closing brace.
    fn object(&mut self, depth: usize) -> Result<Vec<(String, Said)>, Unreadable> {
        if depth > DEPTH_MAX {
            return self.wrong();
        }
        let mut said = Vec::new();
        loop {
            self.blank()?;
            match self.first() {
                Some('}') => {
                    self.take(1);
                    return Ok(said);
                }
                Some(',') => self.take(1),
                _ => {
                    let name = self.name()?;
                    self.blank()?;
                    let value = match self.first() {
                        Some('=' | ':') => {
                            self.take(1);
                            self.value(depth)?
                        }
                        // A block, possibly with labels.
                        Some('{' | '"') => {
                            while self.first() == Some('"') {
                                self.string()?;
                                self.blank()?;
                            }
                            if self.first() != Some('{') {
                                return self.wrong();
                            }
                            self.take(1);
                            self.object(depth + 1)?;
                            Said::Nested
                        }
                        _ => return self.wrong(),
                    };
                    said.push((name, value));
                }
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Said, Unreadable> {
        self.blank()?;
        match self.first() {
            Some('"') => self.string().map(Said::One),
            Some('<') => self.heredoc().map(Said::One),
            Some('{') => {
                self.take(1);
                self.object(depth + 1)?;
                Ok(Said::Nested)
            }
            Some('[') => {
                self.take(1);
                self.list(depth + 1)
            }
            _ => self.name().map(Said::One),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Said, Unreadable> {
        if depth > DEPTH_MAX {
            return self.wrong();
        }
        let (mut texts, mut nested) = (Vec::new(), false);
        loop {
            self.blank()?;
            match self.first() {
                Some(']') => {
                    self.take(1);
                    return Ok(if nested { Said::Nested } else { Said::Many(texts) });
                }
                Some(',') => self.take(1),
                _ => match self.value(depth)? {
                    Said::One(text) => texts.push(text),
                    Said::Many(_) | Said::Nested => nested = true,
                },
            }
        }
    }

    /// A name or a number, bare or in quotes.
    fn name(&mut self) -> Result<String, Unreadable> {
        if self.first() == Some('"') {
            return self.string();
        }
        let part = |it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '.' | '+');
        let length = self.rest.find(|it| !part(it)).unwrap_or(self.rest.len());
        if length == 0 {
            return self.wrong();
        }
        let name = self.rest.get(..length).unwrap_or_default().to_owned();
        self.take(length);
        Ok(name)
    }

    fn string(&mut self) -> Result<String, Unreadable> {
        let mut text = String::new();
        let mut signs = self.rest.char_indices().skip(1);
        while let Some((at, sign)) = signs.next() {
            match sign {
                '"' => {
                    self.take(at + 1);
                    return Ok(text);
                }
                '\\' => match signs.next().map(|(_, sign)| sign) {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some(other @ ('"' | '\\')) => text.push(other),
                    // `\u…` and the like: kept as written, no path of a policy needs them.
                    Some(other) => text.extend(['\\', other]),
                    None => break,
                },
                '\n' => break,
                other => text.push(other),
            }
        }
        self.wrong()
    }

    /// `<<WORD`, lines, and a line with that word only.
    fn heredoc(&mut self) -> Result<String, Unreadable> {
        let Some((head, body)) = self.rest.split_once('\n') else { return self.wrong() };
        let Some(word) = head.strip_prefix("<<").map(|it| it.trim_start_matches('-').trim()) else {
            return self.wrong();
        };
        let mut length = head.len() + 1;
        let mut text = String::new();
        for line in body.split_inclusive('\n') {
            if line.trim() == word && !word.is_empty() {
                self.take(length + line.trim_end().len());
                return Ok(text);
            }
            length += line.len();
            text.push_str(line);
        }
        self.wrong()
    }

    /// Skips blanks and comments.
    fn blank(&mut self) -> Result<(), Unreadable> {
        loop {
            let kept = self.rest.trim_start();
            self.take(self.rest.len() - kept.len());
            let length = if kept.starts_with('#') || kept.starts_with("//") {
                kept.find('\n').unwrap_or(kept.len())
            } else if kept.starts_with("/*") {
                match kept.find("*/") {
                    Some(end) => end + 2,
                    None => return self.wrong(),
                }
            } else {
                return Ok(());
            };
            self.take(length);
        }
    }

    fn expect(&mut self, sign: char) -> Result<(), Unreadable> {
        self.blank()?;
        if self.first() != Some(sign) {
            return self.wrong();
        }
        self.take(sign.len_utf8());
        Ok(())
    }

    fn first(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Goes on behind so many bytes.
    fn take(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += taken.bytes().filter(|it| *it == b'\n').count();
        self.rest = rest;
    }

    fn wrong<T>(&self) -> Result<T, Unreadable> {
        Err(Unreadable { line: self.line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Block {
        let found = blocks(text).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }

    #[test]
    fn the_ways_to_write_a_rule_are_read_alike() {
        let ways = [
            "path \"secret/*\" { capabilities = [\"read\", \"list\"] }",
            "# } \"\npath\n\"secret/*\" // {\n{ /* [ */ capabilities=[\"read\" \"list\",] }\n",
            "name = \"x\"\npath \"secret/*\" {\n  \"capabilities\" = [\"read\",\n# one\n\"list\"]\n}",
            r#"{"path": {"secret/*": {"capabilities": ["read", "list"]}}}"#,
            r#"{"name": "x", "path": [{"secret/*": [{"capabilities": ["read", "list"]}]}]}"#,
        ];
        for way in ways {
            let block = one(way);
            assert_eq!(block.path, "secret/*", "{way}");
            let said = Said::Many(vec!["read".into(), "list".into()]);
            assert_eq!(block.said, [("capabilities".to_owned(), said)], "{way}");
        }
    }

    #[test]
    fn what_stands_beside_is_kept_by_its_sort() {
        let block = one(
            "path \"a\\\"b\" { policy = \"sudo\" min_wrapping_ttl = 60 allowed_parameters = { \"*\" = [] a = [\"{\"] }
               control_group = { factor \"x\" { identity { } } } comment = <<-END\n}\"\nEND\n }",
        );
        assert_eq!(block.path, "a\"b");
        let names: Vec<_> = block.said.iter().map(|(name, said)| (name.as_str(), said.clone())).collect();
        assert_eq!(names[0], ("policy", Said::One("sudo".into())));
        assert_eq!(names[1], ("min_wrapping_ttl", Said::One("60".into())));
        assert_eq!(names[2], ("allowed_parameters", Said::Nested));
    }

    #[test]
    fn what_is_no_policy_says_in_which_line() {
        let table = [
            ("path \"a\" {", 1),
            ("path \"a\" { capabilities = [\"read\" }", 1),
            ("path \"a\" { }\n\npath \"b { }", 3),
            ("/* ", 1),
            ("path a { }", 1),
            ("\n}", 2),
            ("{\n\"path\": [\n", 3),
            ("{\"path\": 7}", 1),
        ];
        for (text, line) in table {
            assert_eq!(blocks(text), Err(Unreadable { line }), "{text:?}");
        }
        let deep = format!("path \"a\" {{ b = {}", "[".repeat(100_000));
        assert!(blocks(&deep).is_err());
        assert!(blocks(&"x".repeat(TEXT_MAX + 1)).is_err());
        assert_eq!(blocks("").unwrap(), []);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_stumble(text in "[ \\n\"{}\\[\\]=,#/*<a-z\\\\]{0,200}") {
            let _ = blocks(&text);
        }
    }
}
