//! Printers that misbehave: odd bytes, refusals, broken connections, forgotten jobs.

use std::sync::{Arc, Mutex};

use inkwire_agent::printers::backend::{Outcome, Recovery};
use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::PrinterState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

const GET_PRINTER: u16 = 0x000b;
const CREATE: u16 = 0x0005;
const SEND: u16 = 0x0006;
const PRINT: u16 = 0x0002;
const CANCEL: u16 = 0x0008;
const GET_JOB: u16 = 0x0009;
const GET_JOBS: u16 = 0x000a;

/// What the fake says to one request.
enum Say {
    Ipp(Vec<u8>),
    Http(&'static str),
    Reset,
}

/// An IPP answer by hand: status, then groups of attributes.
struct Answer(Vec<u8>);

impl Answer {
    fn status(status: u16) -> Self {
        let mut bytes = vec![2, 0];
        bytes.extend(status.to_be_bytes());
        bytes.extend([0, 0, 0, 1, 1]);
        Self(bytes).value(0x47, "attributes-charset", b"utf-8").value(
            0x48,
            "attributes-natural-language",
            b"en",
        )
    }

    fn group(mut self, tag: u8) -> Self {
        self.0.push(tag);
        self
    }

    fn value(mut self, tag: u8, name: &str, value: &[u8]) -> Self {
        self.0.push(tag);
        self.0.extend((name.len() as u16).to_be_bytes());
        self.0.extend(name.as_bytes());
        self.0.extend((value.len() as u16).to_be_bytes());
        self.0.extend(value);
        self
    }

    fn number(self, tag: u8, name: &str, value: i32) -> Self {
        self.value(tag, name, &value.to_be_bytes())
    }

    fn say(mut self) -> Say {
        self.0.push(3);
        Say::Ipp(self.0)
    }
}

fn printer(operations: &[u16]) -> Say {
    let mut answer = Answer::status(0).group(4).number(0x23, "printer-state", 3);
    answer = answer.value(0x49, "document-format-supported", b"application/pdf");
    for (index, operation) in operations.iter().enumerate() {
        answer =
            answer.number(0x23, if index == 0 { "operations-supported" } else { "" }, i32::from(*operation));
    }
    answer.say()
}

fn job(state: i32, name: &str, more: impl FnOnce(Answer) -> Answer) -> Say {
    let answer = Answer::status(0).group(2).number(0x21, "job-id", 7).number(0x23, "job-state", state);
    more(answer.value(0x42, "job-name", name.as_bytes())).say()
}

async fn serve(
    mut stream: TcpStream,
    answer: &(dyn Fn(u16, &[u8]) -> Say + Send + Sync),
) -> std::io::Result<()> {
    let mut got = Vec::new();
    let head = loop {
        if stream.read_buf(&mut got).await? == 0 {
            return Ok(());
        }
        if let Some(end) = got.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let headers = String::from_utf8_lossy(&got[..head]).to_lowercase();
    let length: usize = headers
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    while got.len() < head + length {
        if stream.read_buf(&mut got).await? == 0 {
            return Ok(());
        }
        let operation = u16::from_be_bytes([got[head + 2], got[head + 3]]);
        if got.len() - head > 60_000 && matches!(answer(operation, b"begun"), Say::Reset) {
            return reset(&stream);
        }
    }
    let body = &got[head..];
    match answer(u16::from_be_bytes([body[2], body[3]]), body) {
        Say::Ipp(bytes) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/ipp\r\nContent-Length: {}\r\n\r\n",
                bytes.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&bytes).await?;
            stream.read_buf(&mut Vec::new()).await.map(drop)
        }
        Say::Http(status) => {
            stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await
        }
        Say::Reset => reset(&stream),
    }
}

fn reset(stream: &TcpStream) -> std::io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO))
}

async fn fake(answer: impl Fn(u16, &[u8]) -> Say + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ipp://{}/ipp/print", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            // A client that hangs up is no failure of the fake.
            tokio::spawn(async move { serve(stream, &*answer).await.ok() });
        }
    });
    uri
}

/// The job name in a request.
fn name_in(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let from = text.find("Delivery").unwrap();
    let to = from + text[from..].find(')').unwrap() + 1;
    text[from..to].to_owned()
}

#[tokio::test]
async fn odd_bytes_make_the_printer_unreachable_and_nothing_worse() {
    let nested = {
        let mut bytes = b"\x02\x00\x00\x00\x00\x00\x00\x01\x04\x34\x00\x01a\x00\x00".to_vec();
        bytes.extend(b"\x4a\x00\x00\x00\x01b\x34\x00\x00\x00\x00".repeat(50_000));
        bytes
    };
    for bytes in [Vec::new(), noise(5000), b"<html>login</html>".to_vec(), nested, vec![0x34; 3_000_000]] {
        let uri = fake(move |_, _| Say::Ipp(bytes.clone())).await;
        let backend = backend(uri);
        let info = within(backend.describe()).await;
        assert_eq!(
            (info.state, info.state_reasons),
            (PrinterState::Unreachable, vec!["not-an-ipp-printer".to_owned()])
        );
        let (outcome, journal) = print(&*backend, ZPL, "application/pdf").await;
        assert!(matches!(outcome, Outcome::NotStarted { .. }), "{outcome:?}");
        assert!(journal.intents.borrow().is_empty());
    }
}

#[tokio::test]
async fn what_http_says_is_passed_on_with_the_remedy() {
    for (status, reason, remedy) in [
        ("426 Upgrade Required", "not-an-ipp-printer", "ipps://"),
        ("401 Unauthorized", "authentication-required", "password"),
        ("404 Not Found", "not-an-ipp-printer", "/ipp/print"),
    ] {
        let info = within(backend(fake(move |_, _| Say::Http(status)).await).describe()).await;
        assert_eq!(info.state_reasons, [reason]);
        assert!(info.state_message.unwrap().contains(remedy), "{status}");
    }
}

#[tokio::test]
async fn a_busy_printer_is_waited_for() {
    let uri = fake(|operation, _| match operation {
        GET_PRINTER => printer(&[CREATE, SEND]),
        _ => Answer::status(0x0507).say(),
    });
    let (outcome, _) = print(&*backend(uri.await), ZPL, "application/pdf").await;
    assert_eq!(reason(&outcome), "server-error-busy");
    assert!(matches!(outcome, Outcome::NotStarted { .. }));
}

#[tokio::test]
async fn a_printer_without_create_job_gets_print_job() {
    let name = Arc::new(Mutex::new(String::new()));
    let document = Arc::new(Mutex::new(Vec::new()));
    let (named, got) = (Arc::clone(&name), Arc::clone(&document));
    let uri = fake(move |operation, body| match operation {
        GET_PRINTER => printer(&[PRINT, CANCEL, GET_JOB]),
        PRINT => {
            *named.lock().unwrap() = name_in(body);
            *got.lock().unwrap() = body[body.len() - ZPL.len()..].to_vec();
            job(5, "", |answer| answer)
        }
        GET_JOB => job(9, &named.lock().unwrap(), |answer| answer),
        _ => Answer::status(0x0501).say(),
    })
    .await;
    let backend = backend(uri);
    let (outcome, journal) = print(&*backend, ZPL, "application/pdf").await;
    assert_eq!(outcome, Outcome::Completed { witness: Witness::Device, detail: None });
    assert_eq!(*document.lock().unwrap(), ZPL);
    // Had it crashed before the answer, nobody could say: nothing is ever begun again on that note alone.
    let first = journal.intents.borrow()[0].clone();
    let recovery = within(backend.recover(&task(1, "application/pdf"), &first)).await;
    let Recovery::Decided(outcome) = recovery else { panic!("{recovery:?}") };
    assert_eq!(reason(&outcome), "not-in-history");
}

/// A printer that resets the connection in the middle of the document, and then tells `state` with `begun`.
async fn broken_in_the_middle(begun: bool, impressions: i32) -> Outcome {
    let name = Arc::new(Mutex::new(String::new()));
    let uri = fake(move |operation, body| match operation {
        GET_PRINTER => printer(&[CREATE, SEND]),
        CREATE => {
            *name.lock().unwrap() = name_in(body);
            job(4, "", |answer| answer)
        }
        SEND => Say::Reset,
        GET_JOB => job(7, &name.lock().unwrap(), |answer| {
            let answer = answer.number(0x21, "job-impressions-completed", impressions);
            if begun {
                answer.number(0x21, "time-at-processing", 5)
            } else {
                answer.value(0x13, "time-at-processing", b"")
            }
        }),
        _ => Answer::status(0).say(),
    })
    .await;
    print(&*backend(uri), &noise(3_000_000), "application/pdf").await.0
}

#[tokio::test]
async fn a_document_that_broke_off_is_judged_by_the_printers_word() {
    let untouched = broken_in_the_middle(false, 0).await;
    assert!(matches!(untouched, Outcome::NotStarted { .. }), "{untouched:?}");
    for (begun, impressions) in [(true, 0), (true, 2)] {
        let touched = broken_in_the_middle(begun, impressions).await;
        assert!(matches!(&touched, Outcome::Uncertain { .. }), "{touched:?}");
        assert_eq!(reason(&touched), "connection-lost");
    }
}

#[tokio::test]
async fn a_job_that_the_printer_forgets_is_uncertain() {
    let uri = fake(|operation, _| match operation {
        GET_PRINTER => printer(&[CREATE, SEND]),
        CREATE | SEND => job(5, "", |answer| answer),
        GET_JOB | GET_JOBS => Answer::status(0x0406).say(),
        _ => Answer::status(0).say(),
    });
    let (outcome, _) = print(&*backend(uri.await), ZPL, "application/pdf").await;
    assert_eq!(reason(&outcome), "not-in-history");
}

#[tokio::test]
async fn a_printer_that_waits_for_paper_says_so_and_goes_on() {
    let name = Arc::new(Mutex::new(String::new()));
    let looks = Arc::new(Mutex::new(0));
    let uri = fake(move |operation, body| match operation {
        GET_PRINTER => {
            let paper: &[u8] = if *looks.lock().unwrap() > 0 { b"media-empty-error" } else { b"none" };
            let Say::Ipp(mut bytes) = printer(&[CREATE, SEND]) else { panic!() };
            bytes.pop();
            Answer(bytes).value(0x44, "printer-state-reasons", paper).say()
        }
        CREATE => {
            *name.lock().unwrap() = name_in(body);
            job(4, "", |answer| answer)
        }
        SEND => job(5, "", |answer| answer),
        GET_JOB => {
            let mut looks = looks.lock().unwrap();
            *looks += 1;
            job(if *looks < 6 { 6 } else { 9 }, &name.lock().unwrap(), |answer| answer)
        }
        _ => Answer::status(0).say(),
    });
    let (outcome, journal) = print(&*backend(uri.await), ZPL, "application/pdf").await;
    assert_eq!(outcome, Outcome::Completed { witness: Witness::Device, detail: None });
    let told = journal.stopped.borrow().clone();
    assert!(told.iter().any(|reasons| reasons.contains(&"media-empty-error".to_owned())), "{told:?}");
}
