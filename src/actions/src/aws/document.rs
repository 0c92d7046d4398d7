//! A text of JSON with fields, some of which are a rotator's parts: read, changed, and written again.
//! It must never change a field that is not named, nor leave a value in memory when it is dropped.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::value::RawValue;
use zeroize::{Zeroize as _, Zeroizing};

use crate::Bundle;

/// Under which names a rotator's parts are kept: parts with the names of fields.
#[derive(Clone, Debug)]
pub(crate) struct Fields(BTreeMap<String, String>);

/// The fields of an object, each as it was written.
#[derive(Default)]
pub(crate) struct Document(BTreeMap<String, Box<RawValue>>);

impl Fields {
    /// Those of the setting `fields`.
    pub(crate) fn new(fields: BTreeMap<String, String>) -> Result<Self, String> {
        let names: BTreeSet<&String> = fields.values().collect();
        if fields.is_empty()
            || names.len() < fields.len()
            || fields.iter().any(|(part, name)| part.is_empty() || name.is_empty())
        {
            return Err("fields: expected each part of the credential with a name of its own, such as \
                        { access_key_id = \"AWS_ACCESS_KEY_ID\" }"
                .to_owned());
        }
        Ok(Self(fields))
    }

    /// Whether these are exactly the parts of a value; otherwise what is wrong.
    pub(crate) fn fit(&self, value: &Bundle) -> Result<(), String> {
        let (named, there): (BTreeSet<&str>, BTreeSet<&str>) =
            (self.0.keys().map(String::as_str).collect(), value.parts().collect());
        match (there.difference(&named).next(), named.difference(&there).next()) {
            (Some(part), _) => Err(format!("the setting `fields` says nothing of the part {part}")),
            (None, Some(part)) => Err(format!("the setting `fields` names a part {part} that the value has not")),
            (None, None) => Ok(()),
        }
    }
}

impl Document {
    /// The object that a text is; none if it is another.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// The parts; none if one is missing or is no text.
    pub(crate) fn value(&self, fields: &Fields) -> Option<Bundle> {
        let part = |(part, name): (&String, &String)| {
            let text: Zeroizing<String> = serde_json::from_str(self.0.get(name)?.get()).ok()?;
            Some((part.clone(), SecretString::from(text.as_str())))
        };
        fields.0.iter().map(part).collect::<Option<Vec<_>>>().map(Bundle::new)
    }

    /// With these parts in it. The fields fit them.
    pub(crate) fn put(&mut self, fields: &Fields, value: &Bundle) -> Option<()> {
        for (part, name) in &fields.0 {
            let text = value.get(part)?.expose_secret();
            let mut written = serde_json::to_string(text).ok()?;
            let raw = RawValue::from_string(std::mem::take(&mut written)).ok()?;
            if let Some(former) = self.0.insert(name.clone(), raw) {
                wipe(former);
            }
        }
        Some(())
    }

    /// As it is written.
    pub(crate) fn text(&self) -> Option<Zeroizing<String>> {
        let length: usize = self.0.iter().map(|(name, raw)| 2 * name.len() + raw.get().len() + 16).sum();
        let mut written = Zeroizing::new(Vec::with_capacity(length + 16));
        serde_json::to_writer(&mut *written, &self.0).ok()?;
        std::str::from_utf8(&written).ok().map(|text| Zeroizing::new(text.to_owned()))
    }
}

fn wipe(raw: Box<RawValue>) {
    let text: Box<str> = raw.into();
    text.into_string().zeroize();
}

impl Drop for Document {
    fn drop(&mut self) {
        std::mem::take(&mut self.0).into_values().for_each(wipe);
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Result<Fields, String> {
        Fields::new(pairs.iter().map(|(part, name)| ((*part).to_owned(), (*name).to_owned())).collect())
    }

    #[test]
    fn what_is_not_named_stays_as_it_was_written() {
        let fields = fields(&[("id", "ID"), ("key", "KEY")]).unwrap();
        let text = r#"{"A": 1.10, "ID": "old", "Z": {"b": 123456789012345678901234567890, "a": "\u00e9"}}"#;
        let mut document = Document::parse(text).unwrap();
        assert!(document.value(&fields).is_none(), "a part is missing");
        let value = Bundle::new([("id".to_owned(), "new".into()), ("key".to_owned(), "a\"\n\u{e9}".into())]);
        document.put(&fields, &value).unwrap();
        let written = document.text().unwrap();
        let others = r#""Z":{"b": 123456789012345678901234567890, "a": "\u00e9"}"#;
        assert!(written.contains(others) && written.contains("\"A\":1.10"), "{}", *written);
        let again = Document::parse(&written).unwrap().value(&fields).unwrap();
        for part in ["id", "key"] {
            assert_eq!(again.get(part).unwrap().expose_secret(), value.get(part).unwrap().expose_secret());
        }
        assert_eq!(format!("{document:?}"), r#"["A", "ID", "KEY", "Z"]"#);
        for text in ["", "hunter2", "[1]", "\"a\"", "{\"a\":1"] {
            assert!(Document::parse(text).is_none(), "{text}");
        }
        assert!(Document::parse(r#"{"ID": 1, "KEY": "x"}"#).unwrap().value(&fields).is_none());
    }

    #[test]
    fn fields_are_the_parts_of_the_value_and_no_others() {
        assert!(fields(&[]).is_err() && fields(&[("a", "")]).is_err() && fields(&[("a", "x"), ("b", "x")]).is_err());
        let fields = fields(&[("a", "x")]).unwrap();
        let value = |parts: &[&str]| Bundle::new(parts.iter().map(|part| ((*part).to_owned(), "v".into())));
        assert_eq!(fields.fit(&value(&["a"])), Ok(()));
        assert!(fields.fit(&value(&["a", "b"])).unwrap_err().contains("part b"));
        assert!(fields.fit(&value(&[])).unwrap_err().contains("part a"));
    }
}
