//! What a call through a door costs this process: calls a second, and CPU time per call, with the provider in another process.
//! It must only be run by hand: it asserts nothing, since figures depend on the machine.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a measurement")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use aws_smithy_runtime_api::client::{
    http::{HttpClient as _, HttpConnector as _, HttpConnectorSettings},
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponentsBuilder,
};
use aws_smithy_types::body::SdkBody;
use futures::{StreamExt as _, stream};
use provost_client::{Gate, Limits, Mode, Pace};

/// Calls of one round, and how many of them are in flight.
const CALLS: usize = 20_000;
const IN_FLIGHT: usize = 16;
/// Rounds; the best counts, since others run on the machine too.
const ROUNDS: usize = 5;

fn main() {
    if std::env::args().any(|it| it == "--serve") {
        return serve();
    }
    let program = std::env::current_exe().unwrap();
    let mut server = Command::new(program).arg("--serve").stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let uri = format!("http://127.0.0.1:{}/", port.trim());
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let (cpu, wall) = runtime.block_on(round(&uri));
        best = (best.0.min(cpu), best.1.min(wall));
    }
    let calls = u32::try_from(CALLS).unwrap();
    println!(
        "{:.1} µs of CPU per call, {:.0} calls a second",
        (best.0 / calls).as_secs_f64() * 1e6,
        f64::from(calls) / best.1.as_secs_f64()
    );
    server.kill().unwrap();
    server.wait().unwrap();
}

async fn round(uri: &str) -> (Duration, Duration) {
    let limits = Limits { in_flight: IN_FLIGHT, ..Limits::default() };
    let gate = Gate::new(Pace::new(Mode::Full), limits).unwrap();
    let components = RuntimeComponentsBuilder::for_tests().build().unwrap();
    let way = gate.reads(["iam:ListAccessKeys"], "").http_connector(&HttpConnectorSettings::default(), &components);
    let (cpu, wall) = (cpu(), Instant::now());
    let calls = stream::iter(0..CALLS).map(|_| way.call(request(uri)));
    let answered = calls.buffer_unordered(IN_FLIGHT).filter(|it| std::future::ready(it.is_ok())).count().await;
    assert_eq!(answered, CALLS);
    (self::cpu() - cpu, wall.elapsed())
}

fn request(uri: &str) -> HttpRequest {
    let body = "Action=ListAccessKeys&Version=2010-05-08&UserName=some-user-of-the-account";
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST").unwrap();
    request.set_uri(uri.to_owned()).unwrap();
    let scope = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261124/us-east-1/iam/aws4_request, SignedHeaders=host, \
                 Signature=0000000000000000000000000000000000000000000000000000000000000000";
    request.headers_mut().insert("authorization", scope);
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded");
    request.headers_mut().insert("x-amz-date", "20261124T120000Z");
    request
}

/// CPU time of this process, in user and system mode (proc(5): fields 14 and 15, in hundredths).
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    Duration::from_millis(10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()))
}

/// Answers every request with the same page of keys, for ever.
fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    while let Ok((stream, _)) = listener.accept() {
        std::thread::spawn(move || answer(stream));
    }
}

fn answer(mut stream: TcpStream) {
    let key = "<member><UserName>some-user-of-the-account</UserName><AccessKeyId>AKIAIOSFODNN7EXAMPLE</AccessKeyId>\
               <Status>Active</Status><CreateDate>2026-01-01T00:00:00Z</CreateDate></member>";
    let body = format!(
        "<ListAccessKeysResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ListAccessKeysResult>\
         <IsTruncated>false</IsTruncated><AccessKeyMetadata>{key}{key}</AccessKeyMetadata></ListAccessKeysResult>\
         </ListAccessKeysResponse>"
    );
    let whole = format!("HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        if line.is_empty() || reader.read_exact(&mut body).is_err() || stream.write_all(whole.as_bytes()).is_err() {
            return;
        }
    }
}
