//! A proxy for TCP that cuts connections after a random number of bytes, each way by itself.
//! It must never alter a byte that it lets through.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// A proxy before a server on this machine; its threads end with the process.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    cutting: AtomicBool,
    cuts: AtomicU64,
    dice: AtomicU64,
}

impl Proxy {
    /// A proxy before that port.
    pub(crate) fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                // A commit is some 30 KB up and less than 1 KB down: cuts fall before, into and behind it.
                theirs.pass(client.try_clone().unwrap(), server.try_clone().unwrap(), 90_000);
                theirs.pass(server, client, 6_000);
            }
        });
        Self { port, shared }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Begins to cut.
    pub(crate) fn cut_from_now_on(&self) {
        self.shared.cutting.store(true, Ordering::Release);
    }

    /// Connections cut so far.
    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Acquire)
    }
}

impl Shared {
    /// Hands bytes on, up to a random number of them that is less than `most`.
    fn pass(self: &Arc<Self>, mut from: TcpStream, mut to: TcpStream, most: u64) {
        let shared = Arc::clone(self);
        thread::spawn(move || {
            let mut left = shared.roll() % most;
            let mut buffer = vec![0; 8 << 10];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let cutting = shared.cutting.load(Ordering::Acquire);
                let some = if cutting { count.min(usize::try_from(left).unwrap()) } else { count };
                if to.write_all(&buffer[..some]).is_err() {
                    break;
                }
                if cutting {
                    left -= some as u64;
                    if some < count {
                        shared.cuts.fetch_add(1, Ordering::AcqRel);
                        break;
                    }
                }
            }
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }

    fn roll(&self) -> u64 {
        let next = |dice: u64| dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.dice.fetch_update(Ordering::AcqRel, Ordering::Acquire, |dice| Some(next(dice))).map_or(0, next) >> 33
    }
}
