//! Whether the inventory is what is there: every access key, by id, with creation and status.
//! It must never forgive a key that is missing or one too many.

use std::collections::BTreeSet;

use serde_json::Value;

/// Says how many keys are missing, and how many are one too many.
pub(super) fn compare(truth: &Value, inventory: &str) -> String {
    let text = |it: Option<&Value>| it.and_then(Value::as_str).unwrap_or_default().to_owned();
    let users = truth.get("users").and_then(Value::as_array).cloned().unwrap_or_default();
    let keys = users.iter().flat_map(|user| user.get("keys").and_then(Value::as_array).cloned().unwrap_or_default());
    let there: BTreeSet<_> = keys
        .map(|key| (text(key.get("id")), text(key.get("created")), text(key.get("status")).to_lowercase()))
        .collect();
    let rows = inventory.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let seen: BTreeSet<_> = rows
        .filter(|row| row.get("kind").and_then(Value::as_str) == Some("access_key"))
        .map(|row| (text(row.get("external_id")), text(row.pointer("/created_at/value")), text(row.get("status"))))
        .collect();
    let (missing, extra) = (there.difference(&seen).count(), seen.difference(&there).count());
    format!("{} of {}, {missing} missing, {extra} extra", there.intersection(&seen).count(), there.len())
}
