//! A CUPS server of our own: discovery, queues as printers, and rendering for a raster-only printer.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use inkwire_agent::printers::backend::Outcome;
use inkwire_agent::printers::{PrinterConfig, build, discover_at};
use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::PrinterState;

use crate::ipp_real::{Printer, free_port};
use crate::support::*;

/// A `cupsd` with its own folders and port.
struct Cups {
    child: Child,
    dir: tempfile::TempDir,
    port: u16,
}

impl Cups {
    async fn start() -> Self {
        need("cupsd", "cups");
        need("lpadmin", "cups-client");
        let (dir, port) =
            (tempfile::Builder::new().prefix("inkwire-cups").tempdir_in("/var/tmp").unwrap(), free_port());
        let root = dir.path();
        assert!(Command::new("chmod").arg("755").arg(root).status().unwrap().success());
        for folder in ["etc", "spool", "cache", "run", "log", "tmp"] {
            std::fs::create_dir(root.join(folder)).unwrap();
        }
        // Filters run as another user.
        assert!(Command::new("chmod").arg("1777").arg(root.join("tmp")).status().unwrap().success());
        let r = root.display();
        let files = format!(
            "ServerRoot {r}/etc\nRequestRoot {r}/spool\nCacheDir {r}/cache\nStateDir {r}/run\nTempDir {r}/tmp\n\
             AccessLog {r}/log/access\nErrorLog {r}/log/error\nPageLog {r}/log/page\nSystemGroup root\nFileDevice Yes\n"
        );
        let daemon = format!(
            "Listen 127.0.0.1:{port}\nListen {r}/run/cups.sock\nLogLevel debug\nBrowsing No\nDefaultAuthType None\n\
             <Location />\nOrder allow,deny\nAllow all\n</Location>\n<Location /admin>\nOrder allow,deny\nAllow all\n</Location>\n\
             <Policy default>\n<Limit All>\nOrder deny,allow\n</Limit>\n</Policy>\n"
        );
        std::fs::write(root.join("files.conf"), files).unwrap();
        std::fs::write(root.join("cupsd.conf"), daemon).unwrap();
        let child = Command::new("cupsd")
            .args([
                "-f",
                "-c",
                root.join("cupsd.conf").to_str().unwrap(),
                "-s",
                root.join("files.conf").to_str().unwrap(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let cups = Self { child, dir, port };
        within(async {
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        cups
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn lpadmin(&self, arguments: &[&str]) {
        let output = Command::new("lpadmin").args(["-h", &self.address()]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("log/error")).unwrap_or_default();
        log.lines().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Cups {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn queues_are_discovered_and_printed_to() {
    let cups = Cups::start().await;
    let sink = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let device = format!("socket://127.0.0.1:{}", sink.local_addr().unwrap().port());
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        std::io::Read::read_to_end(&mut sink.accept().unwrap().0, &mut got).unwrap();
        got
    });
    assert_eq!(discover_at(&cups.address()).await.unwrap(), [], "no queue yet");
    cups.lpadmin(&["-p", "labels", "-E", "-v", &device, "-m", "raw", "-L", "Warehouse"]);
    let mut found = discover_at(&cups.address()).await.unwrap();
    assert_eq!(found.len(), 1);
    let found = found.remove(0);
    assert_eq!((found.name.as_str(), found.location.as_deref()), ("labels", Some("Warehouse")));
    let queue = build(&found, Path::new("/nonexistent")).unwrap();
    let info = queue.describe().await;
    assert!(!info.streams && info.state == PrinterState::Idle, "{info:?}");
    let raw = "application/vnd.cups-raw";
    assert!(info.takes(raw), "{:?}", info.formats);
    let (outcome, _) = print(&*queue, ZPL, raw).await;
    assert_eq!(outcome, Outcome::Completed { witness: Witness::Queue, detail: None }, "{}", cups.log());
    assert_eq!(reader.join().unwrap(), ZPL);
    // The same by the Unix socket.
    let by_socket = discover_at(cups.dir.path().join("run/cups.sock").to_str().unwrap()).await.unwrap();
    let by_socket = build(&by_socket[0], Path::new("/nonexistent")).unwrap();
    assert_eq!(by_socket.describe().await.state, PrinterState::Idle);
    // A queue that somebody stopped says so.
    assert!(Command::new("cupsdisable").args(["-h", &cups.address(), "labels"]).status().unwrap().success());
    let info = by_socket.describe().await;
    assert_eq!((info.state, info.state_reasons), (PrinterState::Stopped, vec!["paused".to_owned()]));
}

#[tokio::test]
async fn a_raster_only_printer_gets_a_pdf_through_a_queue() {
    let (cups, printer) = (Cups::start().await, Printer::start("image/urf,image/pwg-raster", &[]).await);
    printer.go();
    let config = PrinterConfig { cups_server: Some(cups.address()), ..config(printer.uri()) };
    let backend = build(&config, Path::new("/nonexistent")).unwrap();
    let info = backend.describe().await;
    assert!(info.takes("application/pdf") && info.takes("image/urf") && !info.streams, "{info:?}");
    let (outcome, journal) = print(&*backend, &real_pdf(), "application/pdf").await;
    assert_eq!(outcome, Outcome::Completed { witness: Witness::Queue, detail: None }, "{}", cups.log());
    let printed = std::fs::read(printer.printed()).unwrap();
    assert!(printed.starts_with(b"UNIRAST\0") || printed.starts_with(b"RaS2"), "raster: {:?}", &printed[..8]);
    assert!(journal.note()["uri"].as_str().unwrap().contains("/printers/inkwire-localhost-"));
    assert_eq!(
        discover_at(&cups.address()).await.unwrap(),
        [],
        "a queue of ours is not a printer of its own"
    );
    // Raster goes to the printer itself.
    let (outcome, _) = print(
        &*backend,
        &printed,
        if printed.starts_with(b"RaS2") { "image/pwg-raster" } else { "image/urf" },
    )
    .await;
    assert_eq!(outcome, Outcome::Completed { witness: Witness::Device, detail: None });
}

#[tokio::test]
async fn without_cups_a_raster_only_printer_names_the_remedy() {
    let printer = Printer::start("image/urf,image/pwg-raster", &[]).await;
    let config =
        PrinterConfig { cups_server: Some(format!("127.0.0.1:{}", free_port())), ..config(printer.uri()) };
    let (outcome, journal) =
        print(&*build(&config, Path::new("/")).unwrap(), &real_pdf(), "application/pdf").await;
    assert_eq!(reason(&outcome), "cups-missing");
    assert!(format!("{outcome:?}").contains("install the packages"), "{outcome:?}");
    assert!(journal.intents.borrow().is_empty());
}
