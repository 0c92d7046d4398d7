//! ListAccessKeys without the SDK's orchestrator: the one call a run makes by the thousand, in the query protocol.
//! It must never go to another place than the SDK would have called.

use provost_client::Failure;
use provost_model::Why;

use super::{
    key_page::{self, KeyPage},
    signed::{Request, Way, failed},
};

const OPERATION: &str = "iam:ListAccessKeys";
const FORM: &str = "application/x-www-form-urlencoded";

impl Way {
    /// One page of a user's keys.
    pub(super) async fn keys(&self, user: &str, marker: Option<&str>) -> Result<KeyPage, Failure> {
        let body = body(user, marker);
        let request = Request {
            operation: OPERATION,
            method: "POST",
            uri: self.uri(),
            scope: self.scope(),
            headers: &[("content-type", FORM)],
            body: body.as_bytes(),
        };
        let answer = self.send(&request, |answer| key_page::error(answer.body().bytes().unwrap_or_default())).await?;
        let body = answer.body().bytes().unwrap_or_default();
        key_page::read(body).map_err(|said| Failure { why: Why::Malformed, ..failed(OPERATION, &said) })
    }
}

fn body(user: &str, marker: Option<&str>) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::from("Action=ListAccessKeys&Version=2010-05-08"));
    form.append_pair("UserName", user);
    if let Some(marker) = marker {
        form.append_pair("Marker", marker);
    }
    form.finish()
}
