//! The architecture, held by machine: which crate and which room may use which, and what pure files may not touch.
//!
//! A new arrow is no accident: whoever needs one writes it here, and says in ARCHITECTURE.md why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates of the workspace, and which of them each may depend on, for whatever purpose.
const CRATES: &[(&str, &[&str])] = &[
    ("inkwire-protocol", &[]),
    ("inkwire-service", &[]),
    ("inkwire-transport", &["inkwire-protocol"]),
    ("inkwire-client", &["inkwire-protocol", "inkwire-transport"]),
    ("inkwire-broker", &["inkwire-protocol", "inkwire-transport", "inkwire-service"]),
    ("inkwire-agent", &["inkwire-protocol", "inkwire-transport", "inkwire-service"]),
    (
        "inkwire",
        &[
            "inkwire-protocol",
            "inkwire-transport",
            "inkwire-service",
            "inkwire-broker",
            "inkwire-agent",
            "inkwire-client",
        ],
    ),
    (
        "inkwire-tests",
        &[
            "inkwire-protocol",
            "inkwire-transport",
            "inkwire-service",
            "inkwire-broker",
            "inkwire-agent",
            "inkwire-client",
            "inkwire",
        ],
    ),
    ("inkwire-bench", &["inkwire-protocol", "inkwire-transport", "inkwire-client", "inkwire-tests"]),
    ("inkwire-sim", &["inkwire-protocol", "inkwire-service"]),
    ("xtask", &[]),
];

/// What every room of a daemon may use.
const EVERYWHERE: &[&str] = &["limits", "clock", "VERSION"];

/// Rooms of the broker: `app > listen > api > jobs > sessions, auth > store`. A session knows nothing of jobs.
const BROKER: &[(&str, &[&str])] = &[
    (
        "app",
        &[
            "admin",
            "api",
            "auth",
            "certs",
            "config",
            "documents",
            "feed",
            "first_start",
            "jobs",
            "listen",
            "metrics",
            "outbound",
            "pairing",
            "sessions",
            "store",
            "webhooks",
        ],
    ),
    ("admin", &["api", "auth", "store"]),
    // Looks at a folder from outside, and copies it.
    ("care", &["store"]),
    // Only reads, and nobody stands on it.
    ("metrics", &["api", "sessions", "store"]),
    ("listen", &["addresses", "api", "auth", "config", "pairing", "sessions"]),
    (
        "api",
        &[
            "addresses",
            "auth",
            "documents",
            "feed",
            "jobs",
            "outbound",
            "pairing",
            "sessions",
            "store",
            "webhooks",
        ],
    ),
    ("pairing", &["addresses", "auth", "store"]),
    ("jobs", &["documents", "outbound", "sessions", "store"]),
    // What an app names by a URL: documents and webhooks.
    ("outbound", &[]),
    ("webhooks", &["feed", "outbound", "store"]),
    ("sessions", &["auth", "documents", "store"]),
    ("first_start", &["auth", "config", "store"]),
    ("certs", &["config"]),
    ("auth", &["store"]),
    ("documents", &["store"]),
    ("feed", &["store"]),
    ("store", &[]),
    // documents/space.rs is pure: what must stay free.
    // What may be dialled is a rule of outbound's.
    // And what an issuer of tokens and an origin are, of auth's.
    ("config", &["auth", "documents", "outbound"]),
    ("addresses", &[]),
    ("limits", &[]),
    ("clock", &[]),
];

/// Rooms of the agent: `agent > print, report > spool, printers`; the desk takes what the link brings.
const AGENT: &[(&str, &[&str])] = &[
    (
        "agent",
        &[
            "book", "config", "desk", "identity", "link", "print", "printers", "report", "shared", "spool",
            "status",
        ],
    ),
    ("status", &["identity", "link", "shared", "spool"]),
    // Looks at a folder from outside.
    ("check", &["identity", "spool"]),
    ("pair", &["identity"]),
    ("desk", &["book", "link", "shared", "spool"]),
    ("print", &["book", "desk", "link", "printers", "shared", "spool"]),
    ("report", &["link", "printers", "shared", "spool"]),
    ("link", &["identity", "shared", "spool"]),
    ("shared", &["book", "link", "spool"]),
    ("book", &["desk", "print", "spool"]),
    ("config", &["printers"]),
    ("identity", &[]),
    ("spool", &[]),
    ("printers", &[]),
    ("limits", &[]),
    ("clock", &[]),
];

/// What reads a clock, opens a socket or a file, starts a task or rolls dice.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "Utc::now",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "tokio::",
    "rand::",
    "now_v7",
    "new_v4",
    "thread_rng",
    "getrandom",
];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All Rust files below a folder of the repository, by their path in it.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![top().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(top()).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

/// The code of a file without comments and without its tests.
fn code(text: &str) -> String {
    let production = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = production.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn crates_depend_downwards_only() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"])
        .current_dir(top())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let allowed: BTreeMap<&str, &[&str]> = CRATES.iter().copied().collect();
    let known: BTreeSet<&str> = allowed.keys().copied().collect();
    assert_eq!(ours, known, "a crate came or went: say in CRATES what it may use");
    for package in packages {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            assert!(!ours.contains(on) || allowed[name].contains(&on), "{name} may not depend on {on}");
        }
    }
}

/// The rooms that a file names: `crate::room::..`, `crate::{room, other}`.
fn rooms_used(code: &str) -> BTreeSet<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut used = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(list) => used.extend(list.split('}').next().unwrap_or_default().split(',').map(name)),
            None => drop(used.insert(name(after))),
        }
    }
    used.remove("");
    used
}

fn rooms_hold(folder: &str, rules: &[(&str, &[&str])]) {
    let allowed: BTreeMap<&str, &[&str]> = rules.iter().copied().collect();
    let files = sources(folder);
    assert!(files.len() > 20, "{folder} has moved");
    for (path, text) in files {
        let inside = path.strip_prefix(folder).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if room == "lib" {
            continue;
        }
        let path = path.display();
        let may = allowed.get(room).unwrap_or_else(|| panic!("{path}: say what the room {room} may use"));
        for used in rooms_used(&code(&text)) {
            let used = used.as_str();
            let holds = used == room || EVERYWHERE.contains(&used) || may.contains(&used);
            assert!(holds, "{path}: {room} may not use {used}");
        }
    }
}

#[test]
fn rooms_of_the_broker_use_what_is_below_them() {
    rooms_hold("broker/src", BROKER);
}

#[test]
fn rooms_of_the_agent_use_what_is_below_them() {
    rooms_hold("agent/src", AGENT);
}

/// Whether the file's own first words say that it is pure.
fn says_pure(text: &str) -> bool {
    let head = text.lines().take_while(|line| line.starts_with("//!"));
    head.into_iter().any(|line| line.contains("Pure.") || line.contains("Pure:"))
}

fn stays_pure(path: &Path, text: &str) {
    let code = code(text);
    for word in IMPURE {
        assert!(
            !code.contains(word),
            "{}: a pure file may not use {word}: take it as an argument",
            path.display()
        );
    }
}

#[test]
fn the_protocol_has_no_clock_socket_file_task_or_chance() {
    let files = sources("protocol/src");
    assert!(files.len() > 10, "the protocol has moved");
    files.iter().for_each(|(path, text)| stays_pure(path, text));
}

#[test]
fn files_that_call_themselves_pure_are() {
    let mut found = 0;
    for folder in [
        "broker/src",
        "agent/src",
        "client/src",
        "transport/src",
        "service/src",
        "cli/src",
        "bench/src",
        "xtask/src",
    ] {
        for (path, text) in sources(folder) {
            if says_pure(&text) {
                stays_pure(&path, &text);
                found += 1;
            }
        }
    }
    assert!(found >= 15, "only {found} files call themselves pure: has the word changed?");
}

#[test]
fn these_rules_can_be_broken() {
    assert_eq!(rooms_used("use crate::{store, jobs::handle};\nlet x = crate::auth::check();").len(), 3);
    assert!(rooms_used(&code("// crate::jobs\n#[cfg(test)]\nuse crate::jobs;")).is_empty());
    assert!(says_pure("//! Rules.\n//! Pure: nothing else.\nuse x;") && !says_pure("// Pure.\n"));
    let broken = std::panic::catch_unwind(|| stays_pure(Path::new("x.rs"), "let now = Instant::now();"));
    assert!(broken.is_err());
}
