//! Stores that a newer version wrote: an older program does not touch them.

use std::path::Path;
use std::time::Duration;

use inkwire_tests::lab::{Agent, Broker, Printer, Process, wait_until};

/// Says that a program of the far future wrote this.
fn make_newer(store: &Path) {
    let connection = rusqlite::Connection::open(store).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
}

/// It ends by itself with an error that names what is too new and its version, without a panic.
fn refuses(mut process: Process, what: &Path) {
    assert!(wait_until(Duration::from_secs(20), || process.has_ended()), "it goes on:\n{}", process.log());
    let log = process.log();
    let says = |text: &str| log.contains(text);
    assert!(says(what.to_str().unwrap()) && says("99") && says("newer"), "{log}");
    assert!(!says("panicked"), "{log}");
    assert_eq!(log.matches("newer").count(), 1, "said once:\n{log}");
}

#[test]
fn a_store_from_a_newer_version_is_refused_by_broker_and_agent() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(&dir.path().join("broker"));
    let home = dir.path().join("agent");
    let mut agent = Agent::pair(&home, &broker, &[Printer::new("off", "socket://127.0.0.1:9")]);
    agent.start();
    let ledger = agent.state().join("ledger.sqlite3");
    assert!(wait_until(Duration::from_secs(20), || ledger.exists() && agent.log().contains("connected")));
    assert!(agent.process().terminate(Duration::from_secs(15)));
    assert!(broker.process().terminate(Duration::from_secs(15)));

    make_newer(&ledger);
    let config = home.join("agent.toml");
    let log = dir.path().join("agent-newer.log");
    refuses(Process::inkwire(&["agent", "--config", config.to_str().unwrap()], &[], &log), &ledger);

    let store = broker.data().join("store.sqlite3");
    make_newer(&store);
    let data = broker.data();
    let arguments = ["broker", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let log = dir.path().join("broker-newer.log");
    refuses(Process::inkwire(&arguments, &[], &log), &store);
}
