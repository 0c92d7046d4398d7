//! A provider on this machine, for tests: plain HTTP/1.1, one closure that answers.
//! It must never listen on anything but the loopback interface.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Path and query, as they came.
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What is answered: raw bytes, and whether the connection ends there.
pub struct Reply(Vec<u8>, bool);

impl Reply {
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut head = format!("HTTP/1.1 {status} X\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if status != 304 {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        Self([format!("{head}\r\n").as_bytes(), body].concat(), false)
    }

    pub fn json(body: &str) -> Self {
        Self::new(200, &[("content-type", "application/json")], body)
    }

    /// The same, cut off so many bytes before the end.
    pub fn cut(mut self, bytes: usize) -> Self {
        self.0.truncate(self.0.len() - bytes);
        Self(self.0, true)
    }

    /// Never ends.
    pub fn nothing() -> Self {
        Self(Vec::new(), false)
    }
}

pub struct Loopback {
    pub origin: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    accepted: Arc<AtomicU64>,
}

/// The authority of the certificate of a server over TLS, which nobody else trusts.
pub const AUTHORITY: &[u8] = include_bytes!("authority.pem");
/// A certificate for 127.0.0.1 with its key, by that authority.
const SERVER: &[u8] = include_bytes!("server.pem");

impl Loopback {
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::serving(None, answer).await
    }

    /// The same over TLS.
    pub async fn secure(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let certificate = CertificateDer::from_pem_slice(SERVER).unwrap();
        let key = PrivateKeyDer::from_pem_slice(SERVER).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        Self::serving(Some(Arc::new(config).into()), answer).await
    }

    async fn serving(tls: Option<TlsAcceptor>, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{}", listener.local_addr().unwrap());
        let (asked, accepted): (Arc<Mutex<Vec<Asked>>>, Arc<AtomicU64>) = Default::default();
        let (to, count, answer) = (asked.clone(), accepted.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let (to, answer, tls) = (to.clone(), answer.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, to, answer).await,
                        Some(tls) => serve(tls.accept(stream).await?, to, answer).await,
                    }
                });
            }
        });
        Self { origin, asked, accepted }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|it| it.target).collect()
    }

    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    to: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<impl Fn(&Asked) -> Reply>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").map_or(0, |it| it.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let asked = Asked { method, target, headers, body: String::from_utf8(body).unwrap() };
        let Reply(bytes, ends) = answer(&asked);
        to.lock().unwrap().push(asked);
        stream.write_all(&bytes).await?;
        if ends {
            return stream.shutdown().await;
        }
    }
}
