//! A bucket of S3: what lies below a prefix, and one object whole.
//! It must never ask for anything but a listing and the log files of a trail: the gate knows no other read of S3.

use std::io::Read as _;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_xml::decode::{Document, XmlDecodeError, try_data};
use flate2::bufread::MultiGzDecoder;
use provost_client::Failure;
use provost_model::Why;

use crate::aws::{
    call::with_query,
    key_page,
    session::Session,
    settings::Trail,
    signed::{Request, failed},
};

const LIST: &str = "s3:ListBucket";
const GET: &str = "s3:GetObject";
/// What S3 wants to be told of a request without body (SHA-256 of nothing).
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// Most bytes of a file as they are when decompressed.
const FILE_MAX: usize = 64 << 20;
/// How a compressed file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A bucket, and the way to it.
pub(super) struct Bucket<'a> {
    session: &'a Session,
    trail: &'a Trail,
}

/// A page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) keys: Vec<String>,
    /// What stands before the next delimiter, where one was asked for.
    pub(super) prefixes: Vec<String>,
    pub(super) next: Option<String>,
}

impl<'a> Bucket<'a> {
    pub(super) fn new(session: &'a Session, trail: &'a Trail) -> Self {
        Self { session, trail }
    }

    /// Whether it may be listed.
    pub(super) async fn tried(&self) -> Result<(), Failure> {
        let prefix = format!("{}/", self.trail.prefix);
        self.list(&[("prefix", Some(&prefix)), ("max-keys", Some("1"))]).await.map(drop)
    }

    /// A page of what lies there, by those words of ListObjectsV2.
    pub(super) async fn list(&self, words: &[(&str, Option<&str>)]) -> Result<Listing, Failure> {
        let mut query = vec![("list-type", Some("2"))];
        query.extend_from_slice(words);
        let answer = self.ask(LIST, &with_query(&format!("/{}", self.trail.bucket), &query)).await?;
        let malformed = |_| Failure { why: Why::Malformed, ..failed(LIST, "the answer cannot be read") };
        listing(answer.body().bytes().unwrap_or_default()).map_err(malformed)
    }

    /// An object, decompressed; nothing if it is not there any more.
    pub(super) async fn object(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self.ask(GET, &format!("/{}/{key}", self.trail.bucket)).await {
            Ok(answer) => unpacked(answer.body().bytes().unwrap_or_default()).map(Some),
            Err(failure) if failure.code == "NoSuchKey" => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn ask(&self, operation: &'static str, path: &str) -> Result<HttpResponse, Failure> {
        let region = self.trail.region.as_str();
        let uri = format!("{}{path}", self.session.origin_of("s3", region));
        let request = Request {
            operation,
            method: "GET",
            uri: &uri,
            scope: (region, "s3"),
            headers: &[("x-amz-content-sha256", NOTHING)],
            body: &[],
        };
        let way = self.session.way(false).await?;
        let fault = |answer: &HttpResponse| key_page::error(answer.body().bytes().unwrap_or_default());
        self.session.patiently(operation, || way.send(&request, fault)).await
    }
}

/// A file as it was written. S3 says how it is compressed, and the transport undoes it, unless a copy lost that word.
fn unpacked(body: &[u8]) -> Result<Vec<u8>, Failure> {
    if !body.starts_with(&GZIP) {
        return Ok(body.to_vec());
    }
    let mut whole = Vec::new();
    let malformed = |said: &str| Failure { why: Why::Malformed, ..failed(GET, said) };
    let bound = u64::try_from(FILE_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(body).take(bound).read_to_end(&mut whole);
    match read {
        Ok(_) if whole.len() <= FILE_MAX => Ok(whole),
        Ok(_) => Err(malformed("a file is larger than any should be")),
        Err(_) => Err(malformed("a file breaks off")),
    }
}

fn listing(body: &[u8]) -> Result<Listing, XmlDecodeError> {
    let mut document = Document::try_from(body)?;
    let mut root = document.root_element()?;
    if !root.start_el().matches("ListBucketResult") {
        return Err(XmlDecodeError::custom("no listing"));
    }
    let (mut listing, mut truncated, mut next) = (Listing::default(), None, None);
    while let Some(mut tag) = root.next_tag() {
        let (list, part) = match tag.start_el().local() {
            "IsTruncated" => {
                truncated = Some(try_data(&mut tag)? == "true");
                continue;
            }
            "NextContinuationToken" => {
                next = Some(try_data(&mut tag)?.into_owned());
                continue;
            }
            "Contents" => (&mut listing.keys, "Key"),
            "CommonPrefixes" => (&mut listing.prefixes, "Prefix"),
            _ => continue,
        };
        while let Some(mut inner) = tag.next_tag() {
            if inner.start_el().local() == part {
                list.push(try_data(&mut inner)?.into_owned());
            }
        }
    }
    // A listing that does not say whether it is all is none.
    match (truncated, next) {
        (Some(false), _) => Ok(listing),
        (Some(true), Some(next)) => Ok(Listing { next: Some(next), ..listing }),
        _ => Err(XmlDecodeError::custom("no end")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_listing_says_what_lies_there_and_whether_it_is_all() {
        let answer = |rest: &str| {
            let body = format!(
                "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\"><Name>b</Name><Contents><Key>a/b.json.gz</Key>\
                 <Size>1</Size></Contents><CommonPrefixes><Prefix>a/c/</Prefix></CommonPrefixes>{rest}</ListBucketResult>"
            );
            listing(body.as_bytes())
        };
        let (keys, prefixes) = (vec!["a/b.json.gz".to_owned()], vec!["a/c/".to_owned()]);
        let whole = answer("<IsTruncated>false</IsTruncated>").unwrap();
        assert_eq!(whole, Listing { keys, prefixes, next: None });
        let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
        assert_eq!(answer(more).unwrap().next.as_deref(), Some("t"));
        for wrong in ["", "<IsTruncated>true</IsTruncated>"] {
            assert!(answer(wrong).is_err(), "{wrong}");
        }
        assert!(listing(b"<Error><Code>x</Code></Error>").is_err());
    }

    #[test]
    fn a_file_is_unpacked_where_nobody_did_and_no_further_than_its_bound() {
        let packed = |text: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(unpacked(b"{}").unwrap(), b"{}");
        assert_eq!(unpacked(&packed(b"{\"Records\":[]}")).unwrap(), b"{\"Records\":[]}");
        let whole = packed(b"{\"Records\":[]}");
        assert_eq!(unpacked(&whole[..whole.len() - 3]).unwrap_err().why, Why::Malformed, "broken off");
        assert_eq!(unpacked(&packed(&vec![b' '; FILE_MAX + 1])).unwrap_err().why, Why::Malformed);
    }
}
