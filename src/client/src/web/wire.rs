//! The one transport: reqwest without its redirects, retries and decompression, and every answer taken whole within bounds.
//! It must never take more bytes than allowed, neither as they come nor as they are when decompressed.

use std::{error::Error, io::Read as _};

use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http::{HeaderMap, header};

use super::dial::Dials;
use crate::{Cassette, Egress, Limits, Recorder, Refused};

/// Compressed bodies from this length on are decompressed beside the event loop.
const ASIDE: usize = 128 << 10;

/// The transport of one source: a pool of connections, or a conversation that is played back.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    way: Way,
    recorder: Option<Recorder>,
    dials: Dials,
}

#[derive(Clone, Debug)]
enum Way {
    Network(reqwest::Client),
    Cassette(Cassette),
}

impl Wire {
    /// A transport by that way out, which keeps so many idle connections. `plain` says whether anything may go without TLS
    /// at all.
    pub(crate) fn new(egress: &Egress, (limits, idle): (&Limits, usize), plain: bool) -> Result<Self, String> {
        let dials = Dials::default();
        if let Some(cassette) = &egress.cassette {
            return Ok(Self { way: Way::Cassette(cassette.clone()), recorder: None, dials });
        }
        let client = reqwest::Client::builder()
            .connect_timeout(limits.connect)
            .pool_max_idle_per_host(idle)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .https_only(!plain)
            .connector_layer(dials.clone());
        // What goes wrong here are certificates; the error names no secret.
        let client = egress.applied(client)?.build().map_err(|error| {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            format!("the HTTPS client cannot be set up: {cause}")
        })?;
        Ok(Self { way: Way::Network(client), recorder: egress.recorder.clone(), dials })
    }

    /// Connections tried so far.
    pub(crate) fn opened(&self) -> u64 {
        self.dials.opened()
    }

    /// Sends a request of that read and takes the whole answer, decompressed.
    pub(crate) async fn send(
        &self,
        operation: &str,
        request: reqwest::Request,
        limits: &Limits,
    ) -> Result<http::Response<Bytes>, Refused> {
        let client = match &self.way {
            Way::Network(client) => client,
            Way::Cassette(cassette) => return cassette.answer(operation, &request),
        };
        let asked = self.recorder.as_ref().and_then(|recorder| Some((recorder, request.try_clone()?)));
        let answer = tokio::time::timeout(limits.attempt, taken(client, request, limits.answer)).await;
        let answer = answer.unwrap_or_else(|_| Err(Refused::Slow(limits.attempt.as_secs())))?;
        if let Some((recorder, asked)) = asked {
            recorder.note(operation, &asked, &answer);
        }
        Ok(answer)
    }

    /// Sends a request that is about credentials: it is neither written down nor played back.
    pub(crate) async fn send_unrecorded(
        &self,
        request: reqwest::Request,
        limits: &Limits,
    ) -> Result<http::Response<Bytes>, Refused> {
        let Way::Network(client) = &self.way else {
            return Err(Refused::Unfit("a cassette holds no credentials".to_owned()));
        };
        let answer = tokio::time::timeout(limits.attempt, taken(client, request, limits.answer)).await;
        answer.unwrap_or_else(|_| Err(Refused::Slow(limits.attempt.as_secs())))
    }
}

async fn taken(
    client: &reqwest::Client,
    request: reqwest::Request,
    most: usize,
) -> Result<http::Response<Bytes>, Refused> {
    let mut answer = client.execute(request).await.map_err(|error| unreached(&error))?;
    let promised = answer.content_length().and_then(|length| usize::try_from(length).ok());
    if promised.is_some_and(|length| length > most) {
        return Err(Refused::TooLarge(most));
    }
    let mut body = BytesMut::with_capacity(promised.unwrap_or_default());
    while let Some(chunk) = answer.chunk().await.map_err(|_| Refused::Cut)? {
        if body.len() + chunk.len() > most {
            return Err(Refused::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    let mut whole = http::Response::new(Bytes::new());
    *whole.status_mut() = answer.status();
    *whole.headers_mut() = std::mem::take(answer.headers_mut());
    *whole.body_mut() = decoded(whole.headers(), body.freeze(), most).await?;
    Ok(whole)
}

/// The body as it was before the encodings that its headers name.
async fn decoded(headers: &HeaderMap, body: Bytes, most: usize) -> Result<Bytes, Refused> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let encoding = match (encodings.next(), encodings.next()) {
        (None, _) => return Ok(body),
        (Some(one), None) => one.to_str().map_err(|_| Refused::Broken)?.trim().to_ascii_lowercase(),
        (Some(_), Some(_)) => return Err(Refused::Broken),
    };
    match encoding.as_str() {
        "" | "identity" => Ok(body),
        // A 304, or an answer to HEAD, may name the encoding of a body that it does not have.
        "gzip" | "x-gzip" if body.is_empty() => Ok(body),
        "gzip" | "x-gzip" if body.len() < ASIDE => unzipped(&body, most),
        "gzip" | "x-gzip" => {
            tokio::task::spawn_blocking(move || unzipped(&body, most)).await.map_err(|_| Refused::Broken)?
        }
        _ => Err(Refused::Broken),
    }
}

fn unzipped(body: &[u8], most: usize) -> Result<Bytes, Refused> {
    let mut whole = Vec::new();
    // One byte more than is taken tells too large from just large enough.
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(body).take(bound).read_to_end(&mut whole).map_err(|_| Refused::Broken)?;
    if whole.len() > most { Err(Refused::TooLarge(most)) } else { Ok(whole.into()) }
}

/// Why there is no answer, in words that hold no address: there may be a secret in it.
fn unreached(error: &reqwest::Error) -> Refused {
    if is_distrust(error) {
        return Refused::Unreached("the provider's certificate is not one that is trusted here");
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => Refused::Unreached("no connection in time"),
        (true, false) => Refused::Unreached("the provider cannot be reached"),
        _ if error.is_builder() => Refused::Unfit("the address or a header of it cannot be sent".to_owned()),
        _ => Refused::Cut,
    }
}

/// Whether TLS did not accept whom it met.
fn is_distrust(error: &(dyn Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return true;
    }
    // What an I/O error wraps is not its source, but its source's.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.is_some_and(|it| is_distrust(it)) || error.source().is_some_and(is_distrust)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn zipped(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn a_body_is_bounded_as_it_is_when_decompressed() {
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", "gzip".parse().unwrap());
        let bomb = zipped(&vec![b'a'; 1 << 20]);
        assert!(bomb.len() < 4_096);
        for (most, expected) in [(4_096, Err(Refused::TooLarge(4_096))), (1 << 20, Ok(1 << 20))] {
            let taken = decoded(&headers, bomb.clone().into(), most).await;
            assert_eq!(taken.map(|body| body.len()), expected);
        }
        let large =
            zipped(&(0..600_000_u32).flat_map(|it| it.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<_>>());
        assert!(large.len() > ASIDE);
        assert_eq!(decoded(&headers, large.into(), 1 << 20).await, Err(Refused::TooLarge(1 << 20)));
        let cut = bomb.get(..bomb.len() - 9).unwrap().to_vec();
        assert_eq!(decoded(&headers, cut.into(), 1 << 21).await, Err(Refused::Broken));
        headers.insert("content-encoding", "br".parse().unwrap());
        assert_eq!(decoded(&headers, bomb.into(), 1 << 21).await, Err(Refused::Broken));
    }
}
