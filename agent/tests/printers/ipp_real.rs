//! `ippeveprinter` of CUPS: an IPP Everywhere printer that we did not write.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use inkwire_agent::printers::backend::{DocumentError, Outcome, Recovery};
use inkwire_agent::printers::{PrinterConfig, build};
use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::PrinterState;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::support::*;

const PDF: &str = "application/pdf";
const DEVICE: Outcome = Outcome::Completed { witness: Witness::Device, detail: None };

/// A running `ippeveprinter` and its folder. It prints when `go` is there, and at once if `go` is there from the start.
pub(crate) struct Printer {
    child: Child,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) port: u16,
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Printer {
    pub(crate) async fn start(formats: &str, arguments: &[&str]) -> Self {
        Self::start_at(free_port(), formats, arguments).await
    }

    pub(crate) async fn start_at(port: u16, formats: &str, arguments: &[&str]) -> Self {
        need("ippeveprinter", "cups-ipp-utils");
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("print.sh");
        let text = format!(
            "#!/bin/sh\nwhile [ ! -e {0}/go ]; do sleep 0.05; done\ncp \"$1\" {0}/printed\nexit 0\n",
            dir.path().display()
        );
        std::fs::write(&script, text).unwrap();
        assert!(
            Command::new("chmod")
                .arg("755")
                .args([&script, &dir.path().to_owned()])
                .status()
                .unwrap()
                .success()
        );
        std::fs::create_dir(dir.path().join("spool")).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new("ippeveprinter")
            .args(["-c", script.to_str().unwrap(), "-k", "-d", dir.path().join("spool").to_str().unwrap()])
            .args(["-p", &port.to_string(), "-n", "localhost", "-f", formats, "-v"])
            .args(arguments)
            .arg(format!("Inkwire test {port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut printer = Self { child, dir, port };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return printer;
            }
            let ended = printer.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "ippeveprinter ended: {}\nit needs `dbus-daemon --system` and `avahi-daemon` (packages dbus, avahi-daemon)",
                std::fs::read_to_string(printer.dir.path().join("log")).unwrap()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("ippeveprinter does not listen on {port}");
    }

    pub(crate) fn go(&self) {
        std::fs::write(self.dir.path().join("go"), b"").unwrap();
    }

    pub(crate) fn uri(&self) -> String {
        format!("ipp://localhost:{}/ipp/print", self.port)
    }

    pub(crate) fn printed(&self) -> PathBuf {
        self.dir.path().join("printed")
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_real_pdf_comes_out_byte_for_byte() {
    let printer = Printer::start(PDF, &[]).await;
    printer.go();
    let backend = backend(printer.uri());
    let info = backend.describe().await;
    assert_eq!(
        (info.state, info.formats.as_slice(), info.streams),
        (PrinterState::Idle, &[PDF.to_owned()][..], true)
    );
    assert!(info.capabilities.media_ready.iter().any(|media| media.starts_with("na_letter")), "{info:?}");
    assert_eq!(info.capabilities.printer_resolution, ["600dpi"]);
    assert!(info.markers.iter().any(|marker| marker.level_percent.is_some()), "{info:?}");
    assert!(info.state_reasons.is_empty() && info.make_and_model.is_some());
    let document = real_pdf();
    let (outcome, journal) = print(&*backend, &document, PDF).await;
    assert_eq!(outcome, DEVICE);
    assert!(std::fs::read(printer.printed()).unwrap() == document);
    assert_eq!(*journal.delivered.borrow(), document.len() as u64);
    assert_eq!(
        journal.intents.borrow().len(),
        3,
        "before Create-Job, with the job's id, and when all is sent"
    );
    assert!(journal.note()["job_id"].is_i64());
}

#[tokio::test]
async fn a_format_that_it_does_not_take_is_refused() {
    let printer = Printer::start(PDF, &[]).await;
    let (outcome, journal) = print(&*backend(printer.uri()), ZPL, "application/vnd.zebra-zpl").await;
    assert!(matches!(&outcome, Outcome::Aborted { detail, .. } if detail.contains(PDF)), "{outcome:?}");
    assert!(journal.intents.borrow().is_empty());
}

#[tokio::test]
async fn a_cancel_before_the_printer_works_on_it_is_certain() {
    let printer = Printer::start(PDF, &[]).await;
    let backend = backend(printer.uri());
    let (cancel, journal) = (CancellationToken::new(), Recorder::new());
    let (_hold, wait) = oneshot::channel();
    let mut document = Script::new([Step::Bytes(noise(50_000)), Step::Wait(wait)]);
    let task = task(100_000, PDF);
    let canceling = async {
        journal.until_delivered(50_000).await;
        cancel.cancel();
    };
    let (outcome, ()) =
        within(async { tokio::join!(backend.print(&task, &mut document, &journal, &cancel), canceling) })
            .await;
    assert_eq!(outcome, Outcome::Canceled);
    assert!(!printer.printed().exists());
}

#[tokio::test]
async fn a_stream_survives_a_gap_and_a_gap_too_long_begins_again() {
    let printer = Printer::start(PDF, &[]).await;
    printer.go();
    let (backend, document) = (backend(printer.uri()), real_pdf());
    let (go, wait) = oneshot::channel();
    let (first, rest) = document.split_at(60_000);
    let mut script = Script::new([Step::Bytes(first.to_vec()), Step::Wait(wait), Step::Bytes(rest.to_vec())]);
    let (mut task, journal) = (task(document.len(), PDF), Recorder::new());
    task.streaming = true;
    let never = CancellationToken::new();
    let gap = async {
        journal.until_delivered(60_000).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        go.send(()).unwrap();
    };
    let (outcome, ()) =
        within(async { tokio::join!(backend.print(&task, &mut script, &journal, &never), gap) }).await;
    assert_eq!(outcome, DEVICE);
    assert!(std::fs::read(printer.printed()).unwrap() == document);

    std::fs::remove_file(printer.printed()).unwrap();
    task.copy = 2;
    let mut broken =
        Script::new([Step::Bytes(first.to_vec()), Step::Fail(DocumentError::Gap(Duration::from_secs(30)))]);
    let outcome = within(backend.print(&task, &mut broken, &Recorder::new(), &never)).await;
    assert!(
        matches!(outcome, Outcome::NotStarted { .. }),
        "the printer says that it never began: {outcome:?}"
    );
    assert!(!printer.printed().exists());
}

/// Prints until `stop` and is then dropped where it stands, as by a crash.
async fn crash(
    uri: &str,
    task: &inkwire_agent::printers::backend::Task,
    script: &mut Script,
    journal: &Recorder,
    stop: impl Future<Output = ()>,
) {
    let (backend, never) = (backend(uri), CancellationToken::new());
    tokio::select! {
        outcome = backend.print(task, script, journal, &never) => panic!("ended before the crash: {outcome:?}"),
        () = within(stop) => {}
    }
}

#[tokio::test]
async fn after_a_crash_the_printer_is_asked() {
    let printer = Printer::start(PDF, &[]).await;
    let document = real_pdf();
    let backend = backend(printer.uri());

    // In the middle of Send-Document: thrown away there, begun again here.
    let (task, journal) = (task(document.len(), PDF), Recorder::new());
    let (_hold, wait) = oneshot::channel();
    let mut half = Script::new([Step::Bytes(document[..50_000].to_vec()), Step::Wait(wait)]);
    crash(&printer.uri(), &task, &mut half, &journal, journal.until_delivered(50_000)).await;
    let recovery = within(backend.recover(&task, &journal.note())).await;
    assert_eq!(recovery, Recovery::NotStarted);

    // Only the name is known: nothing can have been given.
    let mut note = journal.note();
    note.as_object_mut().unwrap().remove("job_id");
    assert_eq!(within(backend.recover(&task, &note)).await, Recovery::NotStarted);

    // While it is being printed: adopted and watched to its end.
    let (mut task, journal) = (task, Recorder::new());
    task.copy = 2;
    crash(&printer.uri(), &task, &mut Script::whole(&document), &journal, journal.until_intents(3)).await;
    let note = journal.note();
    assert_eq!(within(backend.recover(&task, &note)).await, Recovery::Underway);
    printer.go();
    let outcome = within(backend.watch(&task, &note, &Recorder::new(), &CancellationToken::new())).await;
    assert_eq!(outcome, DEVICE);
    assert!(std::fs::read(printer.printed()).unwrap() == document);
    // And afterwards it is decided.
    assert_eq!(within(backend.recover(&task, &note)).await, Recovery::Decided(DEVICE));
}

#[tokio::test]
async fn a_printer_that_forgot_the_job_leaves_it_uncertain() {
    let port = free_port();
    let first = Printer::start_at(port, PDF, &[]).await;
    let (task, journal, document) = (task(1000, PDF), Recorder::new(), noise(1000));
    crash(&first.uri(), &task, &mut Script::whole(&document), &journal, journal.until_delivered(1000)).await;
    drop(first);
    let backend = backend(format!("ipp://localhost:{port}/ipp/print"));
    let away = within(backend.recover(&task, &journal.note())).await;
    assert!(
        matches!(&away, Recovery::AskLater { reasons, .. } if reasons == &["connecting-to-device"]),
        "{away:?}"
    );
    // Restarted, it counts jobs from 1 again: another job with the same id must not be taken for ours.
    let second = Printer::start_at(port, PDF, &[]).await;
    second.go();
    let (other, _) = print(&*backend, &document, PDF).await;
    assert_eq!(other, DEVICE);
    let Recovery::Decided(outcome) = within(backend.recover(&task, &journal.note())).await else { panic!() };
    assert_eq!(reason(&outcome), "not-in-history");
}

#[tokio::test]
async fn a_certificate_is_pinned_and_a_change_stops_the_printer() {
    let (port, state) = (free_port(), tempfile::tempdir().unwrap());
    let uri = format!("ipps://localhost:{port}/ipp/print");
    let backend = build(&config(&uri), state.path()).unwrap();
    let keys = |name: &str| {
        let path = state.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let first = Printer::start_at(port, PDF, &["-K", &keys("first")]).await;
    first.go();
    let (outcome, _) = print(&*backend, &real_pdf(), PDF).await;
    assert_eq!(outcome, DEVICE);
    let pins = std::fs::read_to_string(state.path().join("printer-certificates.json")).unwrap();
    assert!(pins.contains(&format!("localhost:{port}")), "{pins}");
    drop(first);
    let again = Printer::start_at(port, PDF, &["-K", &keys("first")]).await;
    again.go();
    assert_eq!(print(&*backend, &real_pdf(), PDF).await.0, DEVICE, "the same certificate after a restart");
    drop(again);
    let other = Printer::start_at(port, PDF, &["-K", &keys("second")]).await;
    other.go();
    let (outcome, journal) = print(&*backend, &real_pdf(), PDF).await;
    assert!(matches!(outcome, Outcome::NotStarted { .. }), "{outcome:?}");
    assert_eq!(reason(&outcome), "printer-certificate-changed");
    assert!(journal.intents.borrow().is_empty() && !other.printed().exists());
    let info = backend.describe().await;
    assert_eq!(info.state_reasons, ["printer-certificate-changed"]);
    assert!(info.state_message.unwrap().contains("printer-certificates.json"), "the remedy is named");
    // A configured pin outranks the remembered one.
    let wrong = PrinterConfig { certificate_sha256: Some("ab".repeat(32)), ..config(&uri) };
    let wrong = build(&wrong, Path::new("/nonexistent")).unwrap().describe().await;
    assert_eq!(wrong.state_reasons, ["printer-certificate-changed"]);
}
