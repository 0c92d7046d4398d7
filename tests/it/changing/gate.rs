//! A gate between the daemon and a server of this machine: every call passes it, and a test can keep one there.
//! It must never pass a call on twice, nor let one through that a test keeps, before the test says so.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::{
    aws_proxy::wire::{self, Request},
    program::PATIENCE,
};

/// What becomes of a call for which a test waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It goes through: what is waited for next comes after it.
    Pass,
    /// It is kept before the server hears of it.
    KeepBefore,
    /// It is kept when the server has done it, and before anybody hears of that.
    KeepAfter,
}

/// What a test says of a call that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Through,
    Cut,
}

#[derive(Default)]
struct State {
    /// What is waited for, the next one first: verb and end of the path.
    script: VecDeque<(String, What)>,
    /// Calls that are refused as by a server that is not ready.
    refused: Vec<String>,
    /// Calls that were passed on, in order.
    calls: Vec<String>,
    /// What the server answered that is nobody else's to know.
    secrets: Vec<String>,
    /// Whether a call is kept.
    kept: bool,
    fate: Option<Fate>,
    over: bool,
}

/// The gate.
pub(super) struct Gate {
    address: String,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Gate {
    /// One to that port.
    pub(super) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared: Arc<(Mutex<State>, Condvar)> = Arc::default();
        let all = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if lock(&all).over {
                    return;
                }
                let all = all.clone();
                thread::spawn(move || stream.and_then(|stream| serve(stream, port, &all)));
            }
        });
        Self { address, shared }
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What is waited for from now on, in that order.
    pub(super) fn script<'a>(&self, script: impl IntoIterator<Item = (&'a str, What)>) {
        lock(&self.shared).script = script.into_iter().map(|(call, what)| (call.to_owned(), what)).collect();
    }

    /// Waits until a call is kept.
    pub(super) fn keeps(&self) {
        let state = lock(&self.shared);
        let (state, _) = self.shared.1.wait_timeout_while(state, PATIENCE, |state| !state.kept).unwrap();
        assert!(state.kept, "waited in vain for {:?} after {:#?}", state.script.front(), state.calls);
    }

    /// Lets the call that is kept through.
    pub(super) fn through(&self) {
        self.say(Fate::Through);
    }

    /// Nobody waits for the call that is kept any more: what was not passed on never is.
    pub(super) fn cut(&self) {
        self.say(Fate::Cut);
    }

    fn say(&self, fate: Fate) {
        let mut state = lock(&self.shared);
        assert!(state.kept, "nothing is kept");
        state.fate = Some(fate);
        self.shared.1.notify_all();
        drop(self.shared.1.wait_timeout_while(state, PATIENCE, |state| state.kept).unwrap());
    }

    /// Calls that end so are answered as by a server that is not ready, until others are named.
    pub(super) fn refuse(&self, calls: &[&str]) {
        lock(&self.shared).refused = calls.iter().map(|call| (*call).to_owned()).collect();
    }

    /// Calls that the server heard of, in order.
    pub(super) fn calls(&self) -> Vec<String> {
        lock(&self.shared).calls.clone()
    }

    /// Secret ids and tokens that the server gave away.
    pub(super) fn secrets(&self) -> Vec<String> {
        lock(&self.shared).secrets.clone()
    }

    /// How many of them end so.
    pub(super) fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|it| is(it, call)).count()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        lock(&self.shared).over = true;
        self.shared.1.notify_all();
        // Wakes whoever waits for the next caller.
        let _ = TcpStream::connect(&self.address);
    }
}

fn lock(shared: &(Mutex<State>, Condvar)) -> MutexGuard<'_, State> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a call, as `POST /v1/a/b`, is one named `POST a/b` or `POST b`.
fn is(call: &str, named: &str) -> bool {
    let ((verb, path), (its, end)) = (call.split_once(' ').unwrap(), named.split_once(' ').unwrap());
    verb == its && path.strip_suffix(end).is_some_and(|rest| rest.ends_with('/'))
}

fn serve(mut stream: TcpStream, port: u16, shared: &(Mutex<State>, Condvar)) -> io::Result<()> {
    let Some(request) = Request::read(&mut stream)? else { return Ok(()) };
    let (line, passed) = (request.line(), request.passed_on());
    let pass = || {
        lock(shared).calls.push(line.clone());
        let answer = wire::exchanged(port, &passed);
        let text = String::from_utf8_lossy(&answer);
        let told = ["\"secret_id\":\"", "\"client_token\":\""].map(|name| wire::between(&text, name, "\"").to_owned());
        lock(shared).secrets.extend(told.into_iter().filter(|it| !it.is_empty()));
        answer
    };
    let what = {
        let mut state = lock(shared);
        if state.refused.iter().any(|call| is(&line, call)) {
            drop(state);
            let answer =
                "HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: 28\r\n\r\n{\"errors\":[\"not ready yet\"]}";
            return stream.write_all(answer.as_bytes());
        }
        match state.script.front() {
            Some((call, what)) if is(&line, call) => {
                let what = *what;
                state.script.pop_front();
                what
            }
            _ => What::Pass,
        }
    };
    let answer = match what {
        What::KeepBefore => None,
        What::Pass | What::KeepAfter => Some(pass()),
    };
    let fate = if what == What::Pass { Fate::Through } else { kept(shared) };
    if fate == Fate::Cut {
        return Ok(());
    }
    stream.write_all(&answer.unwrap_or_else(pass))
}

/// Waits for the test's word.
fn kept(shared: &(Mutex<State>, Condvar)) -> Fate {
    let mut state = lock(shared);
    state.kept = true;
    shared.1.notify_all();
    let mut state = shared.1.wait_while(state, |state| state.fate.is_none() && !state.over).unwrap();
    let fate = state.fate.take().unwrap_or(Fate::Cut);
    state.kept = false;
    shared.1.notify_all();
    fate
}
