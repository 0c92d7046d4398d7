//! A connection as a mail conversation needs it before and behind STARTTLS.
//! It must never let what came before TLS be taken for an answer that came by it.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// First byte of a TLS handshake (RFC 8446, 5.1): no command begins with it.
const HANDSHAKE: u8 = 0x16;
/// Most that is taken of a server in one conversation.
const MOST: usize = 1 << 20;

/// A connection that is read byte by byte until TLS begins. Whoever reads lines takes no more than the line then: what
/// somebody on the way put behind the answer to STARTTLS stays where it is, and the handshake fails of it.
pub(super) struct Carried {
    stream: TcpStream,
    encrypted: bool,
    taken: usize,
}

impl Carried {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, encrypted: false, taken: 0 }
    }
}

impl AsyncRead for Carried {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.taken >= MOST {
            return Poll::Ready(Err(io::Error::other("the server talks too much")));
        }
        let before = into.filled().len();
        if self.encrypted || into.remaining() <= 1 {
            ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        } else {
            let mut byte = [0];
            let mut one = ReadBuf::new(&mut byte);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut one))?;
            into.put_slice(one.filled());
        }
        self.taken += into.filled().len() - before;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Carried {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.encrypted |= bytes.first() == Some(&HANDSHAKE);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Carried {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried").field("encrypted", &self.encrypted).finish_non_exhaustive()
    }
}
