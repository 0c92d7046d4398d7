//! A page of ListAccessKeys, read from its XML, and the code of an answer that is an error.
//! It must never take half a key for a key, nor keep more keys than a page may hold.

use aws_smithy_types::date_time::{DateTime, Format};
use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};
use provost_model::Time;

use super::authorization::time;

/// Most keys of a page (IAM API reference, `MaxItems`).
const KEYS_MAX: usize = 1000;

/// An access key as the listing says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyFound {
    pub(super) id: String,
    pub(super) active: bool,
    pub(super) created: Time,
}

/// What is on a page, and where the next begins.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPage {
    pub(super) keys: Vec<KeyFound>,
    pub(super) is_truncated: bool,
    pub(super) marker: Option<String>,
}

/// The page in a body that the gate found whole, or why it is none.
pub(super) fn read(body: &[u8]) -> Result<KeyPage, String> {
    page(body).map_err(|_| "the answer cannot be read".to_owned())
}

/// Code and message of an error answer, as far as it can be read.
pub(super) fn error(body: &[u8]) -> (Option<String>, Option<String>) {
    fault(body).unwrap_or_default()
}

fn page(body: &[u8]) -> Result<KeyPage, XmlDecodeError> {
    let mut document = Document::try_from(body)?;
    let mut root = document.root_element()?;
    expect(&root, "ListAccessKeysResponse")?;
    let Some(mut result) = root.next_tag() else { return Err(XmlDecodeError::custom("no result")) };
    expect(&result, "ListAccessKeysResult")?;
    let mut page = KeyPage::default();
    while let Some(mut tag) = result.next_tag() {
        match tag.start_el().local() {
            "AccessKeyMetadata" => keys(&mut tag, &mut page.keys)?,
            "IsTruncated" => page.is_truncated = truth(&try_data(&mut tag)?)?,
            "Marker" => page.marker = Some(try_data(&mut tag)?.into_owned()),
            _ => {}
        }
    }
    Ok(page)
}

fn keys(list: &mut ScopedDecoder<'_, '_>, into: &mut Vec<KeyFound>) -> Result<(), XmlDecodeError> {
    while let Some(mut member) = list.next_tag() {
        if into.len() >= KEYS_MAX {
            return Err(XmlDecodeError::custom("more keys than a page may hold"));
        }
        if !member.start_el().matches("member") {
            continue;
        }
        let (mut id, mut active, mut created) = (None, false, None);
        while let Some(mut tag) = member.next_tag() {
            match tag.start_el().local() {
                "AccessKeyId" => id = Some(try_data(&mut tag)?.into_owned()),
                "Status" => active = try_data(&mut tag)? == "Active",
                "CreateDate" => created = Some(date(&try_data(&mut tag)?)?),
                _ => {}
            }
        }
        if let (Some(id), Some(created)) = (id, created) {
            into.push(KeyFound { id, active, created });
        }
    }
    Ok(())
}

fn fault(body: &[u8]) -> Result<(Option<String>, Option<String>), XmlDecodeError> {
    let mut document = Document::try_from(body)?;
    let mut root = document.root_element()?;
    let mut said = (None, None);
    // S3's answer is nothing but the error.
    if root.start_el().local() == "Error" {
        words(&mut root, &mut said)?;
        return Ok(said);
    }
    while let Some(mut tag) = root.next_tag() {
        // EC2 keeps its error in a list of one.
        let mut tag = match tag.start_el().local() {
            "Error" => tag,
            "Errors" => match tag.next_tag() {
                Some(tag) => tag,
                None => continue,
            },
            _ => continue,
        };
        words(&mut tag, &mut said)?;
    }
    Ok(said)
}

/// Code and message among the parts of an error.
fn words(
    error: &mut ScopedDecoder<'_, '_>,
    (code, message): &mut (Option<String>, Option<String>),
) -> Result<(), XmlDecodeError> {
    while let Some(mut part) = error.next_tag() {
        match part.start_el().local() {
            "Code" => *code = Some(try_data(&mut part)?.into_owned()),
            "Message" => *message = Some(try_data(&mut part)?.into_owned()),
            _ => {}
        }
    }
    Ok(())
}

fn expect(at: &ScopedDecoder<'_, '_>, name: &'static str) -> Result<(), XmlDecodeError> {
    if at.start_el().matches(name) { Ok(()) } else { Err(XmlDecodeError::custom(name)) }
}

fn truth(text: &str) -> Result<bool, XmlDecodeError> {
    match text.trim() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(XmlDecodeError::custom("neither true nor false")),
    }
}

fn date(text: &str) -> Result<Time, XmlDecodeError> {
    DateTime::from_str(text, Format::DateTimeWithOffset).map(time).map_err(|_| XmlDecodeError::custom("not a date"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(result: &str) -> String {
        format!(
            r#"<?xml version="1.0"?><ListAccessKeysResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
            <ListAccessKeysResult>{result}</ListAccessKeysResult>
            <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></ListAccessKeysResponse>"#
        )
    }

    #[test]
    fn a_page_says_its_keys_and_whether_there_is_more() {
        let keys = "<AccessKeyMetadata>
            <member><UserName>a&amp;b</UserName><AccessKeyId>AKIA1</AccessKeyId><Status>Active</Status>
              <CreateDate>2026-01-02T03:04:05Z</CreateDate></member>
            <member><UserName>a&amp;b</UserName><AccessKeyId>AKIA2</AccessKeyId><Status>Inactive</Status>
              <CreateDate>2026-01-02T03:04:05+00:00</CreateDate></member>
            </AccessKeyMetadata><IsTruncated>true</IsTruncated><Marker>m&lt;1</Marker>";
        let page = read(answer(keys).as_bytes()).unwrap();
        let created = "2026-01-02T03:04:05Z".parse().unwrap();
        let key = |id: &str, active| KeyFound { id: id.into(), active, created };
        assert_eq!(page.keys, [key("AKIA1", true), key("AKIA2", false)]);
        assert_eq!((page.is_truncated, page.marker.as_deref()), (true, Some("m<1")));
        assert_eq!(read(answer("<IsTruncated>false</IsTruncated>").as_bytes()).unwrap(), KeyPage::default());
    }

    #[test]
    fn whatever_is_no_page_is_refused() {
        let member = "<member><AccessKeyId>A</AccessKeyId><CreateDate>2026-01-02T03:04:05Z</CreateDate></member>";
        let wrong = [
            String::new(),
            "<html>not what you think".into(),
            "<ListUsersResponse><ListUsersResult/></ListUsersResponse>".into(),
            "<ListAccessKeysResponse/>".into(),
            answer("<IsTruncated>perhaps</IsTruncated>"),
            answer("<AccessKeyMetadata><member><CreateDate>soon</CreateDate></member></AccessKeyMetadata>"),
            answer(&format!("<AccessKeyMetadata>{}</AccessKeyMetadata>", member.repeat(1001))),
        ];
        for text in wrong {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(&[0xff, 0xfe, 0x3c]).is_err());
    }

    #[test]
    fn half_a_key_is_no_key() {
        let half = "<AccessKeyMetadata><member><AccessKeyId>A</AccessKeyId></member></AccessKeyMetadata>";
        assert_eq!(read(answer(half).as_bytes()).unwrap(), KeyPage::default());
    }

    #[test]
    fn an_error_says_its_code() {
        let text = "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>no</Message></Error></ErrorResponse>";
        assert_eq!(error(text.as_bytes()), (Some("NoSuchEntity".into()), Some("no".into())));
        assert_eq!(error(b"<html>"), (None, None));
    }
}
