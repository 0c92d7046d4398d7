//! An entry's own settings, read into the form it wants, and the references to secrets among them.
//! It must never repeat a setting's value: it may be a secret in the wrong place.

use provost_client::authority::SecretOf;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Handed;

/// The settings of an entry in that form, or which of them is wrong.
pub(crate) fn parsed<T: DeserializeOwned>(handed: &Handed) -> Result<T, String> {
    let settings = Value::Object(handed.settings.clone());
    serde_path_to_error::deserialize(settings).map_err(|error| {
        let (place, said) = (error.path().to_string(), error.inner().to_string());
        // These two name settings and nothing else; every other message repeats the value.
        if said.starts_with("unknown field `") || said.starts_with("missing field `") {
            return said;
        }
        match said.rsplit_once(", expected ") {
            Some((_, expected)) => format!("{place} cannot be read: expected {expected}"),
            None => format!("{place} cannot be read"),
        }
    })
}

/// What gives the secret that a setting refers to, or what is wrong with the reference.
pub(crate) fn reference(handed: &Handed, setting: &str, text: &str) -> Result<SecretOf, String> {
    handed.secrets.check(text).map_err(|said| format!("{setting}: {said}"))?;
    let (secrets, text) = (handed.secrets.clone(), text.to_owned());
    Ok(std::sync::Arc::new(move || secrets.get(&text)))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::testing::handed;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only whether it can be read matters")]
    struct Settings {
        token: String,
        #[serde(default)]
        often: bool,
        #[serde(default)]
        ports: Vec<u16>,
    }

    #[test]
    fn a_wrong_setting_is_named_and_its_value_is_not() {
        let table = [
            (json!({}), "missing field `token`"),
            (json!({ "token": "x", "tokn": "hunter2" }), "unknown field `tokn`"),
            (json!({ "token": "x", "often": "hunter2" }), "often cannot be read: expected a boolean"),
            (json!({ "token": "x", "often": "hunter2, expected x" }), "often cannot be read: expected a boolean"),
            (json!({ "token": "x", "ports": [1, "hunter2"] }), "ports[1] cannot be read: expected u16"),
            (json!({ "token": ["hunter2"] }), "token cannot be read: expected a string"),
        ];
        for (settings, says) in table {
            let said = parsed::<Settings>(&handed(settings)).unwrap_err();
            assert!(said.starts_with(says) && !said.contains("hunter2"), "{said}");
        }
        assert_eq!(parsed::<Settings>(&handed(json!({ "token": "env:x" }))).unwrap().token, "env:x");
    }

    #[test]
    fn a_secret_is_asked_for_when_it_is_used_and_a_literal_is_refused() {
        let handed = handed(json!({}));
        assert_eq!(reference(&handed, "token", "env:hunter2").unwrap()().unwrap().expose_secret(), "hunter2");
        let said = reference(&handed, "token", "hunter2").err().unwrap();
        assert!(said.starts_with("token: ") && !said.contains("hunter2"), "{said}");
    }
}
