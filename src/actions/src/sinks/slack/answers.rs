//! What Slack's answers mean: it says with status 200 whether something was done, and with one word why not.
//! It must never call undone what Slack may have done.

use std::time::Duration;

use provost_client::{Answer, Failure};
use provost_model::{Why, door};
use serde::{Deserialize, de::DeserializeOwned};

use crate::ActionError;

#[derive(Deserialize)]
struct Said {
    ok: bool,
    error: Option<String>,
    /// The scope that is missing.
    needed: Option<String>,
}

/// What an act was answered, if Slack says that it was done.
pub(super) fn of_act<T: DeserializeOwned>(answer: &Answer) -> Result<T, ActionError> {
    // It was taken with status 200, and nobody can tell what for.
    let unclear = |failure: Failure| ActionError::Ambiguous { said: failure.to_string() };
    let said: Said = answer.json().map_err(unclear)?;
    if said.ok { answer.json().map_err(unclear) } else { Err(refused(answer, said)) }
}

/// What a look was answered. One that failed changed nothing, and says nothing of the act it looked for.
pub(super) fn of_look<T: DeserializeOwned>(answer: &Answer) -> Result<T, ActionError> {
    let said: Said = answer.json()?;
    if said.ok {
        return Ok(answer.json()?);
    }
    Err(match refused(answer, said) {
        ActionError::Ambiguous { said } => ActionError::Retry { after: None, said },
        other => other,
    })
}

/// What a word means. The words and what they mean: <https://docs.slack.dev/reference/methods/chat.postMessage/#errors>.
fn refused(answer: &Answer, said: Said) -> ActionError {
    let word = said.error.unwrap_or_default();
    let needed = said.needed.map(|it| format!(", needed: {it}")).unwrap_or_default();
    let shown = format!("Slack says {}", door::log(&format!("{word}{needed}")));
    let said = Failure::new(answer.operation(), Why::Denied, "", &shown).to_string();
    match word.as_str() {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
            let after = answer.header("retry-after").and_then(|it| it.trim().parse().ok()).map(Duration::from_secs);
            ActionError::Retry { after, said }
        }
        // Somebody can put it right while the letter stays the same: the token, what it may do, the channel.
        "access_denied"
        | "accesslimited"
        | "account_inactive"
        | "channel_not_found"
        | "channel_type_not_supported"
        | "ekm_access_denied"
        | "enterprise_is_restricted"
        | "external_channel_migrating"
        | "invalid_auth"
        | "is_archived"
        | "messages_tab_disabled"
        | "metadata_must_be_sent_from_app"
        | "missing_scope"
        | "no_permission"
        | "not_allowed_token_type"
        | "not_authed"
        | "not_in_channel"
        | "org_login_required"
        | "restricted_action"
        | "restricted_action_non_threadable_channel"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_locked"
        | "restricted_action_thread_only_channel"
        | "team_access_not_granted"
        | "team_added_to_org"
        | "team_not_found"
        | "token_expired"
        | "token_revoked"
        | "two_factor_setup_required" => ActionError::Retry { after: None, said },
        // It is the letter, or how this program writes it.
        "as_user_not_supported"
        | "block_mismatch"
        | "cannot_reply_to_message"
        | "deprecated_endpoint"
        | "invalid_arg_name"
        | "invalid_arguments"
        | "invalid_array_arg"
        | "invalid_blocks"
        | "invalid_blocks_format"
        | "invalid_charset"
        | "invalid_form_data"
        | "invalid_metadata_format"
        | "invalid_metadata_schema"
        | "invalid_post_type"
        | "markdown_text_conflict"
        | "metadata_too_large"
        | "method_deprecated"
        | "missing_post_type"
        | "msg_blocks_too_long"
        | "msg_too_long"
        | "no_text"
        | "thread_not_found"
        | "too_many_attachments"
        | "unknown_method" => ActionError::GiveUp { said },
        // `internal_error` and `fatal_error`: "It's possible some aspect of the operation succeeded". `service_unavailable`
        // and `request_timeout` do not say; nor does a word that nobody wrote down.
        _ => ActionError::Ambiguous { said },
    }
}
