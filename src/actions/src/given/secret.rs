//! A secret at the time of use: asked for where waiting stops nobody.
//! It must never keep a secret longer than one act.

use provost_client::authority::SecretOf;
use secrecy::SecretString;

use crate::ActionError;

/// The secret. Nothing happened out there while there is none, so the same step may be tried again.
pub(crate) async fn asked(secret: &SecretOf) -> Result<SecretString, ActionError> {
    let secret = secret.clone();
    let asked = tokio::task::spawn_blocking(move || secret()).await;
    let said = match asked {
        Ok(Ok(secret)) => return Ok(secret),
        Ok(Err(said)) => said,
        Err(_) => "the secret could not be asked for".to_owned(),
    };
    Err(ActionError::Retry { after: None, said })
}
