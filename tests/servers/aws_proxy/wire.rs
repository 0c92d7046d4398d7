//! Requests and answers as bytes: read, passed on, made up.
//! It must only do what the proxy needs: one request for each connection.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::SystemTime,
};

/// A request as it came.
pub struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    /// The one request of a connection; none if nothing comes.
    pub fn read(stream: &mut TcpStream) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let ends = loop {
            if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
            let mut more = [0; 4096];
            match stream.read(&mut more)? {
                0 => return Ok(None),
                count => bytes.extend_from_slice(&more[..count]),
            }
        };
        let mut body = bytes.split_off(ends);
        let mut it = Self { head: String::from_utf8(bytes).unwrap(), body: Vec::new() };
        let length: usize = it.header("content-length").parse().unwrap_or_default();
        let mut rest = vec![0; length - body.len()];
        stream.read_exact(&mut rest)?;
        body.append(&mut rest);
        it.body = body;
        Ok(Some(it))
    }

    fn header(&self, name: &str) -> &str {
        let pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        pairs.filter(|pair| pair.0.eq_ignore_ascii_case(name)).map(|pair| pair.1.trim()).next().unwrap_or_default()
    }

    /// Its verb and what it asks for, as `POST /v1/x`, without what stands behind a question mark.
    pub fn line(&self) -> String {
        let mut words = self.head.split(' ');
        let (verb, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        format!("{verb} {}", path.split('?').next().unwrap_or_default())
    }

    pub(super) fn is_json(&self) -> bool {
        !self.header("x-amz-target").is_empty()
    }

    /// What it does, by its target or its form.
    pub(super) fn action(&self) -> String {
        match self.header("x-amz-target").rsplit_once('.') {
            Some((_, action)) => action.to_owned(),
            None => self.field("Action"),
        }
    }

    /// The key that signed it.
    pub(super) fn key(&self) -> String {
        between(self.header("authorization"), "Credential=", "/").to_owned()
    }

    /// A field of its form; plain ones only.
    pub(super) fn field(&self, name: &str) -> String {
        let body = String::from_utf8_lossy(&self.body);
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|pair| pair.0 == name).map(|pair| pair.1.to_owned()).next().unwrap_or_default()
    }

    /// The same for another connection, which ends with it.
    pub fn passed_on(&self) -> Vec<u8> {
        let kept = self.head.trim_end().lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        let head: Vec<&str> = kept.chain(["Connection: close", "", ""]).collect();
        [head.join("\r\n").as_bytes(), &self.body].concat()
    }

    /// A refusal as its protocol has it.
    pub(super) fn refused(&self, status: u16, code: &str) -> Vec<u8> {
        if self.is_json() {
            return answer(status, &format!(r#"{{"__type":"{code}","message":"refused by the test"}}"#));
        }
        let error =
            format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>refused by the test</Message></Error>");
        answer(status, &format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"))
    }
}

fn answer(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The status of an answer.
pub(super) fn status(answer: &[u8]) -> Option<u16> {
    String::from_utf8_lossy(answer.get(..16)?).split(' ').nth(1)?.parse().ok()
}

/// What a port of this machine answers.
pub fn exchanged(port: u16, request: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request).unwrap();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// The answer to `GetAccessKeyLastUsed`.
pub(super) fn last_used(user: &str, at: Option<SystemTime>) -> Vec<u8> {
    let (date, rest) = match at {
        Some(at) => (format!("<LastUsedDate>{}</LastUsedDate>", written(at)), ("us-east-1", "sts")),
        None => (String::new(), ("N/A", "N/A")),
    };
    let used = format!("{date}<Region>{}</Region><ServiceName>{}</ServiceName>", rest.0, rest.1);
    let result = format!("<UserName>{user}</UserName><AccessKeyLastUsed>{used}</AccessKeyLastUsed>");
    let body = format!("<GetAccessKeyLastUsedResult>{result}</GetAccessKeyLastUsedResult>");
    answer(200, &format!("<GetAccessKeyLastUsedResponse>{body}</GetAccessKeyLastUsedResponse>"))
}

/// The text of the first element of that name.
pub(super) fn said(xml: &str, element: &str) -> String {
    between(xml, &format!("<{element}>"), "<").to_owned()
}

/// What stands between two texts.
pub fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).map_or("", |it| it.1);
    rest.split_once(after).map_or("", |it| it.0)
}

/// A moment in UTC, by the civil calendar.
fn written(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 0;
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", month + 1, days + 1)
}
