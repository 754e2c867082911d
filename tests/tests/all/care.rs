//! What operators do with folders: check them, copy them under load, put a copy back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use inkwire_client::protocol::ids::{JobId, Sha256Digest};
use inkwire_client::protocol::job::State;
use inkwire_client::{Client, new_job};
use inkwire_tests::lab::{Agent, Broker, Printer, binary};
use inkwire_tests::{documents, sink};
use serde_json::Value;

use crate::support::{client, eventually, printers_online, reaches};

const RAW: &str = "application/octet-stream";

/// Runs `inkwire` and gives its exit code and the JSON that it printed.
fn inkwire(args: &[&str]) -> (i32, Value) {
    let output = std::process::Command::new(binary()).args(args).arg("--json").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code().unwrap_or_else(|| panic!("{args:?}: {text}"));
    (code, serde_json::from_slice(&output.stdout).unwrap_or(Value::String(text)))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What `check` finds, by name, and how it ends.
fn found(args: &[&str]) -> (i32, Vec<String>) {
    let (code, report) = inkwire(args);
    let findings = report["findings"].as_array().unwrap_or_else(|| panic!("{args:?}: {report}"));
    println!("{args:?}: {code}: {findings:#?}");
    (code, findings.iter().map(|it| it["what"].as_str().unwrap().to_owned()).collect())
}

fn check(data: &Path) -> (i32, Vec<String>) {
    found(&["admin", "--data", path(data), "check"])
}

fn check_agent(state: &Path) -> (i32, Vec<String>) {
    found(&["agent", "check", "--state", path(state)])
}

fn is(what: &[&str]) -> (i32, Vec<String>) {
    (1, what.iter().map(|&it| it.to_owned()).collect())
}

fn clean() -> (i32, Vec<String>) {
    (0, Vec::new())
}

/// Changes a file and gives back what was in it.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let before = std::fs::read(path).unwrap();
    let mut bytes = before.clone();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
    before
}

/// All files below a folder, by their endings.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path, ending)),
            false if path.extension().unwrap_or_default() == ending => all.push(path),
            false => {}
        }
    }
    all
}

/// A printer that nobody listens at.
fn off(name: &str) -> Printer {
    Printer::new(name, "socket://127.0.0.1:9")
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_what_is_missing_changed_and_left_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(&dir.path().join("broker"));
    let client = client(&broker, "submit").await;
    let mut agent = Agent::pair(&dir.path().join("agent"), &broker, &[off("off")]);
    agent.start();
    printers_online(&client, 1).await;
    let large = client.submit(new_job("off", RAW), documents::noise(1, 300_000)).await.unwrap();
    client.submit(new_job("off", RAW), documents::zpl(1)).await.unwrap();
    reaches(&client, large.id, &[State::Spooled, State::Stopped]).await;
    let (data, state) = (broker.data(), agent.state());
    // Beside the running ones.
    assert_eq!(check(&data), clean());
    assert_eq!(check_agent(&state), clean());
    assert_eq!(found(&["admin", "check", "--state", path(&state)]), clean());
    assert!(agent.process().terminate(Duration::from_secs(15)));
    assert!(broker.process().terminate(Duration::from_secs(15)));
    assert_eq!(check(&data), clean());
    assert_eq!(found(&["admin", "--data", path(&data), "check", "--quick"]), clean());
    assert_eq!(check_agent(&state), clean());
    the_broker_is_damaged(&data);
    the_agent_is_damaged(&state);

    // A look has changed nothing: both go on where they were.
    broker.restart();
    agent.start();
    printers_online(&client, 1).await;
    assert!(!client.job(large.id).await.unwrap().job.state.is_terminal());
    let nothing = dir.path().join("nothing");
    assert_eq!(inkwire(&["admin", "--data", path(&nothing), "check"]).0, 3);
    assert_eq!(inkwire(&["agent", "check", "--state", path(&nothing)]).0, 3);
}

fn the_broker_is_damaged(data: &Path) {
    let document = files(&data.join("documents"), "").pop().expect("a large document has a file");
    let whole = change(&document, |bytes| bytes[150_000] ^= 1);
    assert_eq!(check(data), is(&["document-digest"]));
    assert_eq!(
        found(&["admin", "--data", path(data), "check", "--quick"]),
        clean(),
        "quick does not read it"
    );
    change(&document, |bytes| bytes.truncate(299_999));
    assert_eq!(check(data), is(&["document-size"]));
    std::fs::remove_file(&document).unwrap();
    assert_eq!(check(data), is(&["document-missing"]));
    std::fs::write(&document, whole).unwrap();
    assert_eq!(check(data), clean());

    let extra = document.with_file_name("01890000-0000-7000-8000-000000000001");
    let strange = data.join("documents/notes.txt");
    for file in [&extra, &strange] {
        std::fs::write(file, b"x").unwrap();
    }
    let notes = vec!["file-without-row".to_owned(), "strange-file".to_owned()];
    assert_eq!(check(data), (0, notes), "worth a note, no damage");
    for file in [&extra, &strange] {
        std::fs::remove_file(file).unwrap();
    }

    let store = data.join("store.sqlite3");
    let db = rusqlite::Connection::open(&store).unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    let original = std::fs::read(&store).unwrap();
    db.execute_batch("UPDATE accounts SET last_event = last_event + 1").unwrap();
    assert_eq!(check(data), is(&["books"]));
    db.execute_batch("UPDATE accounts SET last_event = last_event - 1").unwrap();
    db.execute_batch("UPDATE documents SET content = x'00' WHERE kind = 1").unwrap();
    assert_eq!(check(data), is(&["document-size"]));
    db.execute_batch("DELETE FROM documents WHERE kind = 1").unwrap();
    assert_eq!(check(data), is(&["document-row-missing"]));
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    drop(db);
    let whole = change(&store, |bytes| bytes[..100].fill(7));
    assert_eq!(check(data), is(&["store-unreadable"]));
    std::fs::write(&store, &whole).unwrap();
    change(&store, |bytes| bytes.truncate(bytes.len() / 2));
    let (code, what) = check(data);
    assert!(code == 1 && what.iter().any(|it| it == "store-damaged" || it == "store-unreadable"), "{what:?}");
    for file in ["store.sqlite3-wal", "store.sqlite3-shm"] {
        let file = data.join(file);
        if file.exists() {
            std::fs::remove_file(file).unwrap();
        }
    }
    std::fs::write(&store, original).unwrap();
    assert_eq!(check(data), clean());
}

fn the_agent_is_damaged(state: &Path) {
    let spool = state.join("spool");
    let part = files(&spool, "part").pop().expect("a large document has a file");
    let whole = change(&part, |bytes| bytes[150_000] ^= 1);
    assert_eq!(check_agent(state), is(&["spool-damaged"]));
    change(&part, |bytes| bytes.truncate(100_000));
    assert_eq!(check_agent(state), is(&["spool-damaged"]));
    std::fs::remove_file(&part).unwrap();
    assert_eq!(check_agent(state), is(&["document-missing"]));
    std::fs::write(&part, whole).unwrap();
    std::fs::write(spool.join("01890000-0000-7000-8000-000000000001-1.part"), b"x").unwrap();
    assert_eq!(check_agent(state), (0, vec!["file-without-row".to_owned()]));
    assert_eq!(found(&["agent", "check", "--quick", "--state", path(state)]).0, 0);

    let ledger = state.join("ledger.sqlite3");
    rusqlite::Connection::open(&ledger).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    let whole = change(&ledger, |bytes| bytes.truncate(bytes.len() / 2));
    let (code, what) = check_agent(state);
    assert!(code == 1 && what.iter().any(|it| it.starts_with("ledger-")), "{what:?}");
    std::fs::write(&ledger, whole).unwrap();
    assert_eq!(check_agent(state).0, 0);
}

/// Labels and documents, one after the other, until it is told to stop.
async fn load(client: Client, stop: Arc<AtomicBool>, printed: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let number = 1_000 + printed.load(Ordering::Relaxed);
        let document = match number % 3 {
            0 => documents::noise(number, 100_000),
            _ => documents::zpl(number),
        };
        let job = client.submit(new_job("busy", RAW), document).await.unwrap();
        while client.job(job.id).await.unwrap().job.state != State::Completed {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        printed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Jobs that the backup has and that print after it: some wait for an agent that is away, some are held, some are large.
async fn accepted(client: &Client) -> Vec<(JobId, Sha256Digest)> {
    let mut jobs = Vec::new();
    for number in 0..50 {
        let document = match number % 10 {
            0 => documents::noise(number, 100_000 + number as usize),
            _ => documents::zpl(number),
        };
        let mut job = new_job("raw", RAW);
        job.hold = number % 2 == 1;
        let digest = Sha256Digest::of(&document);
        jobs.push((client.submit(job, document).await.unwrap().id, digest));
    }
    jobs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_made_under_load_is_restored_and_prints_nothing_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(&dir.path().join("broker"));
    let client = client(&broker, "submit").await;
    let (busy_sink, raw) = (sink::Socket::listen(None), sink::Socket::listen(None));
    let mut busy = Agent::pair(&dir.path().join("busy"), &broker, &[Printer::new("busy", busy_sink.uri())]);
    let mut agent = Agent::pair(&dir.path().join("agent"), &broker, &[Printer::new("raw", raw.uri())]);
    busy.start();
    agent.start();
    printers_online(&client, 2).await;
    agent.kill9();
    let jobs = accepted(&client).await;

    let (stop, printed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let loading = tokio::spawn(load(client.clone(), Arc::clone(&stop), Arc::clone(&printed)));
    let more = async |count: u64| {
        let wanted = printed.load(Ordering::Relaxed) + count;
        eventually("labels print", Duration::from_secs(30), async || {
            assert!(!loading.is_finished(), "a label failed while the backup was made");
            (printed.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    };
    more(3).await;
    let (data, backup) = (broker.data(), dir.path().join("backups/monday"));
    let making = {
        let (data, backup) = (data.clone(), backup.clone());
        tokio::task::spawn_blocking(move || {
            inkwire(&["admin", "--data", path(&data), "backup", path(&backup)])
        })
    };
    more(3).await;
    let (code, made) = making.await.unwrap();
    assert_eq!(code, 0, "{made}");
    assert!(made["documents"].as_u64().unwrap() >= 5, "{made}");
    assert_eq!(check(&backup), (0, vec!["restored-copy".to_owned()]), "it is whole, and known as a copy");
    assert_eq!(inkwire(&["admin", "--data", path(&data), "backup", path(&backup)]).0, 3, "not over another");
    let restore = || inkwire(&["admin", "--data", path(&data), "restore", path(&backup)]);
    assert_eq!(restore().0, 3, "not under a running broker");

    // What the backup knows as waiting prints now.
    agent.start();
    for (job, _) in jobs.iter().skip(1).step_by(2) {
        client.release(*job).await.unwrap();
    }
    for (job, _) in &jobs {
        reaches(&client, *job, &[State::Completed]).await;
    }
    more(3).await;
    stop.store(true, Ordering::Relaxed);
    loading.await.unwrap();
    let before = (raw.got().len(), busy_sink.got().len());

    broker.kill9();
    let (code, restored) = restore();
    assert_eq!(code, 0, "{restored}");
    assert!(Path::new(restored["before"].as_str().unwrap()).join("store.sqlite3").exists());
    broker.restart();
    for (job, digest) in &jobs {
        let job = reaches(&client, *job, &[State::Completed]).await;
        assert_eq!(job.attempt.0, 1, "{job:?}");
        assert_eq!(raw.count(*digest), 1, "job {}", job.id);
    }
    let new = client.submit(new_job("busy", RAW), documents::zpl(99)).await.unwrap();
    reaches(&client, new.id, &[State::Completed]).await;
    assert_eq!(
        (raw.got().len(), busy_sink.got().len()),
        (before.0, before.1 + 1),
        "nothing was printed again"
    );
    assert_eq!(check(&data).0, 0);
}
