//! Copies the rooms of broker and agent that the simulation runs, with the doors to the world outside turned: clock, chance,
//! threads, files, sockets and the order of maps are the simulation's. Everything else is compiled as it stands.
//!
//! What stands below `rooms/` replaces a file of the same name: there a room ends at something that is not simulated (TLS, HTTP,
//! the CUPS of a PC).

#![allow(clippy::expect_used, clippy::panic, reason = "a build script that cannot copy must end")]

use std::path::{Path, PathBuf};

include!("mutants.rs");

/// Files and folders of `broker/src`; of `jobs` only what moves jobs, not what answers apps.
const BROKER: &[&str] = &[
    "limits.rs",
    "store",
    "sessions",
    "jobs/agents.rs",
    "jobs/at_once.rs",
    "jobs/counts.rs",
    "jobs/dispatcher.rs",
    "jobs/done.rs",
    "jobs/follow.rs",
    "jobs/input.rs",
    "jobs/line.rs",
    "jobs/moves.rs",
    "jobs/on_return.rs",
    "jobs/orders.rs",
    "jobs/queue.rs",
    "jobs/returning.rs",
    "jobs/rules.rs",
    "jobs/tally.rs",
    "jobs/transition.rs",
    "jobs/views.rs",
];
/// Files and folders of `agent/src`; of the back-ends only what they are to the rest.
const AGENT: &[&str] = &[
    "agent.rs",
    "agent",
    "book.rs",
    "clock.rs",
    "desk",
    "limits.rs",
    "link",
    "print",
    "printers/backend.rs",
    "report",
    "shared.rs",
    "shared",
    "spool",
];
/// Left out: tests and what they need.
const NOT: &[&str] = &["store/tests", "store/fixtures.rs", "spool/tests.rs"];

/// Lints look at the originals, where they stand.
const ALLOWED: &str = "#[allow(warnings, clippy::all, clippy::pedantic, clippy::restriction, reason = \"copies of files that are checked elsewhere\")]";

fn main() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let top = here.join("../..");
    let mut modules = String::new();
    for (room, list) in [("broker", BROKER), ("agent", AGENT)] {
        let to = out.join(room);
        if to.exists() {
            std::fs::remove_dir_all(&to).expect("the old copy goes");
        }
        for name in list {
            copy(&top.join(room).join("src"), Path::new(name), &to, room);
        }
        let own = here.join("rooms").join(room);
        for name in entries(&own) {
            copy(&own, Path::new(&name), &to, room);
        }
        let path = to.join("mod.rs");
        modules += &format!("{ALLOWED}\n#[path = {path:?}]\nmod {room};\n");
    }
    std::fs::write(out.join("rooms.rs"), modules).expect("the list of rooms is written");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=mutants.rs");
    println!("cargo::rerun-if-changed=rooms");
}

fn entries(folder: &Path) -> Vec<String> {
    let list = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    list.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

fn copy(from: &Path, name: &Path, to: &Path, room: &str) {
    if NOT.iter().any(|not| Path::new(not) == name) {
        return;
    }
    let path = from.join(name);
    println!("cargo::rerun-if-changed={}", path.display());
    if path.is_dir() {
        for entry in entries(&path) {
            copy(from, &name.join(entry), to, room);
        }
        return;
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let target = to.join(name);
    std::fs::create_dir_all(target.parent().expect("a folder")).expect("a folder is made");
    let text = if name.extension().is_some_and(|is| is == "rs") { turn(&text, room, name) } else { text };
    std::fs::write(target, text).expect("a copy is written");
}

/// Turns the doors of one file.
fn turn(text: &str, room: &str, name: &Path) -> String {
    let mut text = text.to_owned();
    for [mutant, _, of, file, find, replace] in MUTANTS {
        if *of == room && Path::new(file) == name {
            assert!(text.matches(find).count() == 1, "mutant {mutant}: {file} has moved, mend mutants.rs");
            text = text.replacen(find, replace, 1);
        }
    }
    let mut text = text.replace("tokio_util::task::TaskTracker", "HERE::rt::TaskTracker");
    for (word, by) in [
        ("crate::", format!("crate::{room}::")),
        ("std::", "HERE::st::".to_owned()),
        ("tokio::", "HERE::tk::".to_owned()),
        ("inkwire_transport::", "HERE::wire::".to_owned()),
        ("inkwire_service::fsio", "HERE::disk::fsio".to_owned()),
        ("rand::random()", "HERE::chance::random()".to_owned()),
        ("rand::rng()", "HERE::chance::rng()".to_owned()),
        ("jsonwebtoken::", "HERE::wire::".to_owned()),
        ("rustls::", "HERE::wire::".to_owned()),
        ("uuid::Uuid::now_v7()", "HERE::chance::uuid()".to_owned()),
        ("Uuid::now_v7()", "HERE::chance::uuid()".to_owned()),
        ("Uuid::new_v4()", "HERE::chance::uuid()".to_owned()),
        ("SystemTime::now()", "HERE::rt::wall()".to_owned()),
        ("Instant::now()", "<Instant as HERE::rt::Now>::here()".to_owned()),
    ] {
        text = replace_word(&text, word, &by);
    }
    text = text.replace("HERE::", "crate::");
    // Their unit tests run where they stand.
    text = text.replace("#[cfg(test)]", "#[cfg(any())]");
    text = elapsed(&text);
    for (from, by) in EXACT {
        text = text.replace(from, by);
    }
    if room == "broker" && name == Path::new("store/sqlite/writer.rs") {
        text += WRITER_OF_STORE;
    }
    if room == "agent" && name == Path::new("spool/writer.rs") {
        text += WRITER_OF_LEDGER;
    }
    text
}

/// Where a word stands as a whole path of its own.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = rest.split_at(at);
        out += before;
        let last = before.chars().last().or_else(|| out.chars().last());
        let inside = last.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$');
        out += if inside { word } else { by };
        rest = &after[word.len()..];
    }
    out + rest
}

/// `x.elapsed()` asks the real clock: `elapsed(&x)` asks ours.
fn elapsed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(".elapsed()") {
        let before = &rest[..at];
        let start =
            before.rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).map_or(0, |i| i + 1);
        out += &before[..start];
        out += &format!("crate::rt::elapsed(&{})", &before[start..]);
        rest = &rest[at + ".elapsed()".len()..];
    }
    out + rest
}

/// Doors that are no paths.
const EXACT: &[(&str, &str)] = &[
    ("Connection::open(path)", "crate::disk::sqlite(path)"),
    ("Connection::open(&path)", "crate::disk::sqlite(&path)"),
    ("Connection::open_with_flags(path, flags)", "crate::disk::sqlite_reader(path, flags)"),
    (
        "move || writer::run(connection, queue, &for_writer)",
        "writer::run_here(connection, queue, for_writer)",
    ),
    (".spawn(move || writer.run())", ".spawn(writer.run_here())"),
    // The order of the registry's map is chance that no seed can tell.
    (
        "self.by_agent.iter().map(|entry| (*entry.key(), entry.value().clone())).collect()",
        "crate::st::sorted(self.by_agent.iter().map(|entry| (*entry.key(), entry.value().clone())))",
    ),
];

/// The writer's thread is a task here, and a commit takes its time.
const WRITER_OF_STORE: &str = "
pub(super) async fn run_here(
    mut connection: Connection,
    mut queue: mpsc::Receiver<Request>,
    shared: std::sync::Arc<Shared>,
) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        crate::disk::before_sync().await;
        while let Ok(more) = queue.try_recv() {
            batch.push(more);
        }
        if let Err(error) = write(&mut connection, &mut batch, &shared) {
            shared.fail(error.to_string());
            return;
        }
        crate::disk::after_sync();
    }
}
";

const WRITER_OF_LEDGER: &str = "
impl Writer {
    pub(super) async fn run_here(mut self) {
        let mut batch = Vec::new();
        while let Some(set) = self.queue.next().await {
            let lazy = set.answer.is_none();
            batch.push(set);
            if lazy {
                self.queue.wait_for_more(LAZY_COMMIT_AFTER).await;
            }
            crate::disk::before_sync().await;
            while let Some(more) = self.queue.take_now() {
                batch.push(more);
            }
            if let Err(error) = self.write(&mut batch) {
                self.failure.send_replace(Some(error));
                return;
            }
            crate::disk::after_sync();
        }
    }
}
";
