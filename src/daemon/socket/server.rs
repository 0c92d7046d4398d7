//! The answering side: one thread a caller, a bounded number of callers, each known by its peer credentials.
//! It must never run a command that the command line would not run beside the store.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::Parser as _;
use tokio_util::sync::CancellationToken;

use super::frame::{self, LINE_MAX, Piece, Question};
use crate::{
    cli::{Cli, Exit, Screen},
    commands::{Asked, answer, needs_store},
    desk::Desk,
    output::Look,
};

/// Callers at a time.
const CALLERS_MAX: usize = 16;
/// How long a caller may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a caller may take to accept the next part of a file.
const PATIENCE_OF_A_COPY: Duration = Duration::from_secs(60);

/// A socket that is open, and removed when dropped.
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// Opens the socket, for this user and the group of its directory. What a dead daemon left is put aside.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        if let Ok(about) = fs::symlink_metadata(path) {
            if !about.file_type().is_socket() {
                return Err(io::Error::other(format!("{} is there and is no socket", path.display())));
            }
            if UnixStream::connect(path).is_ok() {
                return Err(io::Error::other(format!("another daemon answers at {}", path.display())));
            }
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
        Ok(Self { listener, path: path.to_owned() })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Answers callers until told to stop. `alive` counts every round, so that a watchdog sees that it turns.
pub fn serve(door: &Door, desk: &Arc<Desk>, stop: &CancellationToken, alive: &AtomicU64) -> io::Result<()> {
    door.listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Handle::current();
    let callers = Arc::new(AtomicUsize::new(0));
    while !stop.is_cancelled() {
        alive.fetch_add(1, Ordering::Relaxed);
        let stream = match door.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "a caller was not let in");
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        if callers.fetch_add(1, Ordering::SeqCst) >= CALLERS_MAX {
            callers.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (desk, stop, runtime, callers) =
            (Arc::clone(desk), stop.child_token(), runtime.clone(), Arc::clone(&callers));
        std::thread::spawn(move || {
            if let Err(error) = attend(stream, &desk, (&runtime, stop)) {
                tracing::debug!(%error, "a caller went away");
            }
            callers.fetch_sub(1, Ordering::SeqCst);
        });
    }
    Ok(())
}

fn attend(
    stream: UnixStream,
    desk: &Desk,
    (runtime, stop): (&tokio::runtime::Handle, CancellationToken),
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let peer = rustix::net::sockopt::socket_peercred(&stream)?;
    let mut line = Vec::new();
    BufReader::new(stream.try_clone()?).take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line)?;
    let back = Back(Arc::new(Mutex::new(stream)));
    let question: Question = match frame::read(&line) {
        Ok(question) => question,
        Err(error) => {
            tracing::warn!(uid = peer.uid.as_raw(), %error, "a caller was not understood");
            let said = "provost: the daemon does not understand that; is it of another version?\n";
            back.send(&Piece::Err(said.to_owned()))?;
            return back.send(&Piece::Exit(Exit::Usage.status()));
        }
    };
    tracing::info!(uid = peer.uid.as_raw(), pid = peer.pid.as_raw_nonzero().get(), "a command came over the socket");
    if !same(&question.store, &desk.wiring().config.store.name()) {
        return back.send(&Piece::Elsewhere);
    }
    let status = run((desk, peer.uid.as_raw()), &question, &back, (runtime, stop));
    back.send(&Piece::Exit(status))
}

/// Whether both paths lead to one place.
fn same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    place(one) == place(other)
}

fn run(
    (desk, uid): (&Desk, u32),
    question: &Question,
    back: &Back,
    (runtime, stop): (&tokio::runtime::Handle, CancellationToken),
) -> u8 {
    let line = std::iter::once("provost".to_owned()).chain(question.arguments.iter().cloned());
    let cli = match Cli::try_parse_from(line) {
        Ok(cli) if needs_store(&cli.command) => cli,
        Ok(_) => {
            let _ = back.send(&Piece::Err("provost: this command is not answered by a daemon\n".into()));
            return 2;
        }
        Err(error) => {
            let _ = back.send(&Piece::Err(error.to_string()));
            return 2;
        }
    };
    let look =
        Look::suited(question.terminal, question.width, question.no_colour || cli.global.no_color, desk.house.now());
    let (mut out, mut err) = (Side { back, wrap: Piece::Out }, Side { back, wrap: Piece::Err });
    let meter: crate::commands::Meter = if question.watched {
        let back = back.clone();
        Arc::new(move |done, total, of| drop(back.send(&Piece::Progress(done, total, of.to_owned()))))
    } else {
        Arc::new(|_, _, _| {})
    };
    let parcel: crate::commands::Parcel = {
        let back = back.clone();
        Arc::new(move |bytes| back.send_in_time(&Piece::Parcel(BASE64_STANDARD.encode(bytes))))
    };
    let mut screen = Screen { out: &mut out, err: &mut err, format: cli.global.output, look, most: None };
    match runtime.block_on(answer(&Asked { desk, uid, meter, parcel, stop }, &cli.command, &mut screen)) {
        Ok(exit) => exit.status(),
        Err(error) => {
            let _ = back.send(&Piece::Err(error.told()));
            error.exit().status()
        }
    }
}

/// The way back to a caller.
#[derive(Clone)]
struct Back(Arc<Mutex<UnixStream>>);

impl Back {
    fn send(&self, piece: &Piece) -> io::Result<()> {
        let line = frame::line(piece)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }

    /// The same to somebody who must take it in time: the store keeps what changes while a backup of it is handed over.
    fn send_in_time(&self, piece: &Piece) -> io::Result<()> {
        let line = frame::line(piece)?;
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream.set_write_timeout(Some(PATIENCE_OF_A_COPY))?;
        stream.write_all(&line)?;
        stream.set_write_timeout(None)
    }
}

/// One side of the caller's terminal.
struct Side<'a> {
    back: &'a Back,
    wrap: fn(String) -> Piece,
}

impl Write for Side<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Cut where a line of the protocol stays within its bound even if every character is escaped.
        let bytes = bytes.get(..bytes.len().min(LINE_MAX / 8)).unwrap_or(bytes);
        let whole = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if error.valid_up_to() > 0 => {
                std::str::from_utf8(bytes.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
            }
            // A writer that cuts inside of a character: what cannot be shown is replaced, nothing is lost but the cut.
            Err(_) => {
                self.back.send(&(self.wrap)(String::from_utf8_lossy(bytes).into_owned()))?;
                return Ok(bytes.len());
            }
        };
        self.back.send(&(self.wrap)(whole.to_owned()))?;
        Ok(whole.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
