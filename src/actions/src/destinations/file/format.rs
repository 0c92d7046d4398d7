//! How parts stand in a file: alone, as lines `KEY=value`, or as fields of a JSON object.
//! It must never change what else is in the file, nor write a line that some reader takes for more than its value.

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::Bundle;

/// The word in the settings.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Name {
    Text,
    Env,
    Json,
}

/// A format, with what goes where: names in the file by part.
pub(super) enum Format {
    Text(String),
    Env(BTreeMap<String, String>),
    Json(BTreeMap<String, String>),
}

impl Format {
    pub(super) fn of(name: Name, part: Option<String>, fields: BTreeMap<String, String>) -> Result<Self, String> {
        let of_env = |key: &String| {
            !key.starts_with(|it: char| it.is_ascii_digit())
                && !key.is_empty()
                && key.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
        };
        let mut names: Vec<&String> = fields.values().collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err("fields: one name is there for two parts".to_owned());
        }
        match (name, part) {
            (Name::Text, Some(part)) if fields.is_empty() => Ok(Self::Text(part)),
            (Name::Text, _) => Err("part: expected with format text, and fields with the others".to_owned()),
            (_, Some(_)) => Err("part: only with format text".to_owned()),
            _ if fields.is_empty() => Err("fields: expected which part is kept under which name".to_owned()),
            (Name::Env, None) if !fields.values().all(of_env) => {
                Err("fields: a name in an environment file has letters, digits and _".to_owned())
            }
            (Name::Env, None) => Ok(Self::Env(fields)),
            (Name::Json, None) => Ok(Self::Json(fields)),
        }
    }

    /// The parts that are in a file; none if one is missing.
    pub(super) fn parts(&self, bytes: &[u8]) -> Option<Bundle> {
        let text = std::str::from_utf8(bytes).ok()?;
        match self {
            Self::Text(part) => Some(Bundle::new([(part.clone(), SecretString::from(text))])),
            Self::Env(fields) => {
                // The last line counts, as it does for whoever reads them one after the other.
                let value = |name: &String| {
                    let found = text.lines().rev().find_map(|line| keyed(line).filter(|it| it.name == name));
                    found.map(|it| SecretString::from(unquoted(it.value)))
                };
                gathered(fields, value)
            }
            Self::Json(fields) => {
                let object: Object = serde_json::from_str(text).ok()?;
                let value = |name: &String| {
                    let (_, raw) = object.0.iter().find(|(its, _)| its == name)?;
                    serde_json::from_str::<String>(raw.get()).ok().map(SecretString::from)
                };
                gathered(fields, value)
            }
        }
    }

    /// A file with these parts in it, and whatever else was there.
    pub(super) fn with(&self, former: Option<&[u8]>, value: &Bundle) -> Result<Zeroizing<Vec<u8>>, String> {
        let part = |name: &String| {
            value.get(name).map(|it| it.expose_secret()).ok_or_else(|| format!("the new value has no part {name:?}"))
        };
        let former = std::str::from_utf8(former.unwrap_or_default()).map_err(|_| "the file is not text".to_owned())?;
        match self {
            Self::Text(name) => Ok(Zeroizing::new(part(name)?.as_bytes().to_vec())),
            Self::Env(fields) => fields.iter().try_fold(Zeroizing::new(former.as_bytes().to_vec()), |text, (name, key)| {
                let value = part(name)?;
                if value.is_empty() || !value.chars().all(is_plain) || value.contains(":~") || value.starts_with('~') {
                    return Err(format!(
                        "part {name:?} has signs that readers of environment files take in different ways; use json or text"
                    ));
                }
                lined(&text, key, value)
            }),
            Self::Json(fields) => {
                let mut object = match former.trim() {
                    "" => Object::default(),
                    former => serde_json::from_str(former).map_err(|_| "the file is no JSON object".to_owned())?,
                };
                for (name, field) in fields {
                    object.set(field, part(name)?)?;
                }
                object.text()
            }
        }
    }
}

fn gathered(fields: &BTreeMap<String, String>, value: impl Fn(&String) -> Option<SecretString>) -> Option<Bundle> {
    let parts = fields.iter().map(|(part, name)| Some((part.clone(), value(name)?)));
    parts.collect::<Option<Vec<_>>>().map(Bundle::new)
}

/// What a shell, systemd and a container's runtime all read as itself, without quotes.
fn is_plain(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || "-_.,:/+=@%~^".contains(sign)
}

/// A line `export KEY=value`.
struct Keyed<'t> {
    /// What stands before the name.
    head: &'t str,
    name: &'t str,
    value: &'t str,
}

fn keyed(line: &str) -> Option<Keyed<'_>> {
    let (before, value) = line.split_once('=')?;
    let name = before.trim_start().strip_prefix("export ").unwrap_or(before).trim();
    let head = before.get(..before.rfind(name)?)?;
    (!before.trim_start().starts_with('#')).then_some(Keyed { head, name, value })
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let within = |quote: char| value.strip_prefix(quote).and_then(|it| it.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

/// The text with that line in the place of every one of that name, or at the end.
fn lined(text: &[u8], key: &str, value: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "the file is not text".to_owned())?;
    let mut lines = Zeroizing::new(Vec::with_capacity(text.len() + key.len() + value.len() + 2));
    let mut found = false;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\n', '\r']);
        let (head, end) = match keyed(line).filter(|it| it.name == key) {
            Some(it) if line.ends_with('\\') || opens(it.value) => {
                return Err("the value that is there now goes over several lines".to_owned());
            }
            Some(it) => (it.head, whole.get(line.len()..).unwrap_or("\n")),
            None => {
                lines.extend_from_slice(whole.as_bytes());
                continue;
            }
        };
        found = true;
        [head, key, "=", value, end].iter().for_each(|it| lines.extend_from_slice(it.as_bytes()));
    }
    if !found {
        let end = if lines.is_empty() || lines.ends_with(b"\n") { "" } else { "\n" };
        [end, key, "=", value, "\n"].iter().for_each(|it| lines.extend_from_slice(it.as_bytes()));
    }
    Ok(lines)
}

/// Whether a value begins with a quote that does not end on its line.
fn opens(value: &str) -> bool {
    let value = value.trim();
    ['"', '\''].iter().any(|quote| value.starts_with(*quote) && value.matches(*quote).count() % 2 == 1)
}

/// A JSON object in its order, with its values as they were written.
#[derive(Default)]
struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    fn set(&mut self, field: &str, value: &str) -> Result<(), String> {
        let written = Zeroizing::new(serde_json::Value::from(value).to_string());
        let raw = RawValue::from_string(written.to_string()).map_err(|_| "the value is no text".to_owned())?;
        match self.0.iter_mut().find(|(name, _)| name == field) {
            Some((_, former)) => *former = raw,
            None => self.0.push((field.to_owned(), raw)),
        }
        Ok(())
    }

    fn text(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let mut text = Zeroizing::new(b"{".to_vec());
        for (number, (name, value)) in self.0.iter().enumerate() {
            let (comma, name) =
                (if number == 0 { "" } else { "," }, serde_json::Value::from(name.as_str()).to_string());
            [comma, "\n  ", &name, ": ", value.get()].iter().for_each(|it| text.extend_from_slice(it.as_bytes()));
        }
        text.extend_from_slice(b"\n}\n");
        Ok(text)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if fields.iter().any(|(its, _)| *its == name) {
                        return Err(serde::de::Error::custom("a field is there twice"));
                    }
                    fields.push((name, value));
                }
                Ok(Object(fields))
            }
        }
        from.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(former: &str, value: &str) -> Result<String, String> {
        let format = Format::of(Name::Env, None, [("p".to_owned(), "KEY".to_owned())].into()).unwrap();
        let value = Bundle::new([("p".to_owned(), SecretString::from(value))]);
        let text = format.with(Some(former.as_bytes()), &value)?;
        let parts = format.parts(&text).unwrap();
        assert_eq!(parts.get("p").unwrap().expose_secret(), value.get("p").unwrap().expose_secret());
        Ok(String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn a_line_is_changed_where_it_is_and_the_others_stay() {
        for (former, text) in [
            ("", "KEY=new/+=\n"),
            ("A=1\nKEY=old\nB=\"2\"\n", "A=1\nKEY=new/+=\nB=\"2\"\n"),
            ("A=1", "A=1\nKEY=new/+=\n"),
            ("export KEY='old'\r\n#KEY=x\nKEY=older", "export KEY=new/+=\r\n#KEY=x\nKEY=new/+="),
            ("MONKEY=1\nKEY2=2\n", "MONKEY=1\nKEY2=2\nKEY=new/+=\n"),
        ] {
            assert_eq!(env(former, "new/+=").unwrap(), text, "{former:?}");
        }
        for value in ["a b", "a\nB=1", "$(id)", "a'b", "a\"b", "a\\", "a#b", "~a", "a:~b", "", "ä", "a;b", "a`b"] {
            let said = env("", value).unwrap_err();
            assert!(value.is_empty() || !said.contains(value), "{said}");
        }
        assert!(env("KEY=\"old\nB=1\"\n", "x").is_err(), "a value over several lines");
    }

    #[test]
    fn a_field_is_changed_and_the_others_stay_to_the_letter() {
        let format = Format::of(Name::Json, None, [("p".to_owned(), "key".to_owned())].into()).unwrap();
        let value = Bundle::new([("p".to_owned(), SecretString::from("a\"b\n"))]);
        let former = r#"{"z": 1.10, "key": "old", "a": {"n": 123456789012345678901234567890, "key": "x"}}"#;
        let text = format.with(Some(former.as_bytes()), &value).unwrap();
        let kept = r#""a": {"n": 123456789012345678901234567890, "key": "x"}"#;
        let wanted = format!("{{\n  \"z\": 1.10,\n  \"key\": \"a\\\"b\\n\",\n  {kept}\n}}\n");
        assert_eq!(std::str::from_utf8(&text).unwrap(), wanted);
        assert_eq!(format.parts(&text).unwrap().get("p").unwrap().expose_secret(), "a\"b\n");
        assert!(format.parts(b"{\"other\": 1}").is_none() && format.parts(b"[]").is_none());
        for former in ["[]", "{\"a\":1,\"a\":2}", "{"] {
            assert!(format.with(Some(former.as_bytes()), &value).is_err(), "{former}");
        }
        assert_eq!(format.with(None, &value).unwrap().as_slice(), b"{\n  \"key\": \"a\\\"b\\n\"\n}\n");
    }
}
