//! The asking side: hands a command line to the daemon, and writes what comes back where it belongs.
//! It must never wait for a daemon that is not there.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::frame::{self, LINE_MAX, Piece, Question};
use crate::{cli::Screen, commands::Parcel};

/// Told how far it is: done, expected in all if known, of what.
type OnProgress<'a> = dyn FnMut(u64, Option<u64>, &str) + 'a;

/// Nobody answers for that store at the socket: it can be opened instead.
#[derive(Debug)]
pub struct Daemonless;

/// Asks the daemon about its store; gives the exit status it answers with. `terminal`: whether answers go to one, and
/// whether colours are unwanted there.
pub fn ask(
    (socket, store): (&Path, &Path),
    arguments: Vec<String>,
    screen: &mut Screen<'_>,
    terminal: (bool, bool),
    (progress, parcel): (&mut OnProgress<'_>, &Parcel),
) -> Result<io::Result<u8>, Daemonless> {
    let Ok(stream) = UnixStream::connect(socket) else { return Err(Daemonless) };
    let (width, (terminal, no_colour)) = (Some(screen.look.width), terminal);
    let question = Question { store: store.to_owned(), arguments, terminal, width, no_colour, watched: true };
    talk(stream, &question, screen, (progress, parcel)).transpose().ok_or(Daemonless)
}

fn talk(
    mut stream: UnixStream,
    question: &Question,
    screen: &mut Screen<'_>,
    (progress, parcel): (&mut OnProgress<'_>, &Parcel),
) -> io::Result<Option<u8>> {
    stream.write_all(&frame::line(question)?)?;
    let mut answers = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        if answers.by_ref().take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            return Err(io::Error::other("the daemon went away before it had answered"));
        }
        match frame::read(&line)? {
            // Written by our own commands, which passed it through the doors already.
            Piece::Out(text) => screen.out.write_all(text.as_bytes())?,
            Piece::Err(text) => screen.err.write_all(text.as_bytes())?,
            Piece::Parcel(text) => parcel(&BASE64_STANDARD.decode(text).map_err(io::Error::other)?)?,
            Piece::Progress(done, total, of) => progress(done, total, &of),
            Piece::Elsewhere => return Ok(None),
            Piece::Exit(status) => return Ok(Some(status)),
        }
    }
}
