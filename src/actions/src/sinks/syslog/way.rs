//! The way of messages to a log: a socket of this machine, datagrams, or a stream, which may be encrypted.
//! It must never call repeatable what may have been read in part.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use provost_model::{Errand, Warrant as _};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket, UnixDatagram, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::{ActionError, sinks::trust};

/// How long one tries to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the messages of a letter may take.
const SEND: Duration = Duration::from_secs(30);
/// How long one waits for the other side to end a stream too.
const END: Duration = Duration::from_secs(5);
/// The port of syslog over TLS (RFC 5425, 4.1).
const TLS_PORT: u16 = 6514;

/// Where messages go.
pub(super) enum Way {
    /// Datagrams to a socket in the file system.
    Unix(PathBuf),
    /// Datagrams (RFC 5426).
    Udp(Place),
    /// A stream of counted messages (RFC 6587, 3.4.1).
    Tcp(Place),
    /// The same encrypted (RFC 5425).
    Tls(Place, TlsConnector, ServerName<'static>),
}

/// A host and a port.
pub(super) struct Place {
    host: String,
    port: u16,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A socket that datagrams leave by.
enum Datagrams {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Way {
    /// Reads `unix:PATH`, `udp://HOST:PORT`, `tcp://HOST:PORT` or `tls://HOST[:PORT]`.
    pub(super) fn new(address: &str, ca_file: Option<&Path>) -> Result<Self, String> {
        let wrong = || "address: unix:/dev/log, udp://HOST:PORT, tcp://HOST:PORT or tls://HOST[:PORT]".to_owned();
        if ca_file.is_some() && !address.starts_with("tls://") {
            return Err("ca_file: only with tls://".to_owned());
        }
        if let Some(path) = address.strip_prefix("unix:") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(wrong()) };
        }
        let url = Url::parse(address).map_err(|_| wrong())?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong());
        }
        let host = url.host_str().ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host).to_owned();
        match (url.scheme(), url.port()) {
            ("udp", Some(port)) => Ok(Self::Udp(Place { host, port })),
            ("tcp", Some(port)) => Ok(Self::Tcp(Place { host, port })),
            ("tls", port) => {
                let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
                Ok(Self::Tls(Place { host, port: port.unwrap_or(TLS_PORT) }, connector(ca_file)?, name))
            }
            _ => Err(wrong()),
        }
    }

    /// Sends the messages of a letter, for an order.
    pub(super) async fn send(&self, errand: &Errand, frames: &[String]) -> Result<(), ActionError> {
        tracing::debug!(act = "syslog", remedy = errand.remedy().word(), commit = errand.decision().commit(), "acts");
        if let Some(socket) = self.datagrams().await? {
            return each(&socket, frames).await;
        }
        let mut stream = self.stream().await?;
        // Each behind its length in octets, and all at once.
        let bytes: Vec<u8> = frames.iter().flat_map(|it| format!("{} {it}", it.len()).into_bytes()).collect();
        written(&mut stream, &bytes).await
    }

    /// Whether there is somebody to send to; nothing is sent.
    pub(super) async fn check(&self) -> Result<String, ActionError> {
        match self {
            Self::Unix(_) | Self::Udp(_) => drop(self.datagrams().await?),
            Self::Tcp(_) | Self::Tls(..) => drop(self.stream().await?),
        }
        Ok(match self {
            Self::Unix(_) => "the socket is there".to_owned(),
            Self::Udp(place) => format!("{} has an address; by UDP nobody can tell who listens", place.host),
            Self::Tcp(place) => format!("{} takes connections, which are not encrypted", place.host),
            Self::Tls(place, ..) => format!("{} takes connections, and its certificate is trusted", place.host),
        })
    }

    async fn datagrams(&self) -> Result<Option<Datagrams>, ActionError> {
        let unsent = |error: io::Error| retry(format!("no socket to send by: {error}"));
        match self {
            Self::Unix(path) => {
                let socket = UnixDatagram::unbound().map_err(unsent)?;
                socket.connect(path).map_err(unsent)?;
                Ok(Some(Datagrams::Unix(socket)))
            }
            Self::Udp(place) => {
                let to = place.resolved().await?;
                let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(from).await.map_err(unsent)?;
                socket.connect(to).await.map_err(unsent)?;
                Ok(Some(Datagrams::Udp(socket)))
            }
            Self::Tcp(_) | Self::Tls(..) => Ok(None),
        }
    }

    async fn stream(&self) -> Result<Box<dyn Stream>, ActionError> {
        let late = |_| retry("no connection in time".to_owned());
        match self {
            Self::Tcp(place) => Ok(Box::new(timeout(CONNECT, place.connected()).await.map_err(late)??)),
            Self::Tls(place, connector, name) => {
                let stream = timeout(CONNECT, place.connected()).await.map_err(late)??;
                let stream = timeout(CONNECT, connector.connect(name.clone(), stream)).await.map_err(late)?;
                Ok(Box::new(stream.map_err(|error| retry(format!("no TLS: {error}")))?))
            }
            Self::Unix(_) | Self::Udp(_) => Err(retry("not a stream".to_owned())),
        }
    }
}

impl Place {
    async fn resolved(&self) -> Result<SocketAddr, ActionError> {
        let found = timeout(CONNECT, lookup_host((self.host.as_str(), self.port))).await;
        let mut found = found
            .map_err(|_| retry("its name was not looked up in time".to_owned()))?
            .map_err(|error| retry(format!("its name has no address: {error}")))?;
        found.next().ok_or_else(|| retry("its name has no address".to_owned()))
    }

    async fn connected(&self) -> Result<TcpStream, ActionError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        stream.map_err(|error| retry(format!("no connection: {error}")))
    }
}

impl Datagrams {
    async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.send(bytes).await,
            Self::Udp(socket) => socket.send(bytes).await,
        }
    }
}

/// Sends each message by itself. Once the first of them left, the rest cannot be sent again without it.
async fn each(socket: &Datagrams, frames: &[String]) -> Result<(), ActionError> {
    for (before, frame) in frames.iter().enumerate() {
        let sent = timeout(SEND, socket.send(frame.as_bytes())).await;
        let sent = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        sent.map_err(|error| match before {
            0 => retry(format!("not sent: {error}")),
            _ => ActionError::Ambiguous { said: format!("{before} of {} messages left: {error}", frames.len()) },
        })?;
    }
    Ok(())
}

/// Writes everything and ends the stream. The other side answers nothing, but may end it as well: that it broke off instead
/// is all that can be known.
async fn written(stream: &mut Box<dyn Stream>, bytes: &[u8]) -> Result<(), ActionError> {
    let mut left = bytes;
    let write = async {
        while !left.is_empty() {
            let count = stream.write(left).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            left = left.get(count..).unwrap_or_default();
        }
        stream.flush().await?;
        stream.shutdown().await
    };
    let done = timeout(SEND, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    if let Err(error) = done {
        let said = format!("the connection broke: {error}");
        return Err(if left.len() == bytes.len() { retry(said) } else { ActionError::Ambiguous { said } });
    }
    let mut byte = [0; 64];
    let ended = timeout(END, async {
        while stream.read(&mut byte).await? > 0 {}
        Ok::<(), io::Error>(())
    })
    .await;
    match ended {
        // Many end TLS without a farewell; some keep a connection for a while.
        Ok(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
            Err(ActionError::Ambiguous { said: format!("the connection broke after everything was written: {error}") })
        }
        _ => Ok(()),
    }
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let unfit = |error: rustls::Error| format!("tls: it cannot be set up: {error}");
    let config = ClientConfig::builder_with_provider(provider.clone());
    let config = config.with_safe_default_protocol_versions().map_err(unfit)?;
    let config = match ca_file {
        Some(file) => {
            let unread = || "ca_file: its certificates cannot be read".to_owned();
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(&trust::bundle(file)?) {
                roots.add(certificate.map_err(|_| unread())?).map_err(|_| unread())?;
            }
            config.with_root_certificates(roots).with_no_client_auth()
        }
        None => {
            let verifier = Verifier::new(provider).map_err(unfit)?;
            config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn retry(said: String) -> ActionError {
    ActionError::Retry { after: None, said }
}
