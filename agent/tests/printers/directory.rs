use std::path::{Path, PathBuf};

use inkwire_agent::printers::backend::{Backend, DocumentError, Outcome, Recovery, Task};
use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::message::Witness;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::*;

const STORED: Outcome = Outcome::Completed { witness: Witness::Stored, detail: None };

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn stem(task: &Task) -> String {
    format!("{}-{}-{}", task.job, task.attempt, task.copy)
}

fn at(dir: &Path) -> std::sync::Arc<dyn Backend> {
    backend(format!("directory://{}", dir.display()))
}

async fn store(backend: &dyn Backend, task: &Task, document: &mut Script) -> Outcome {
    backend.print(task, document, &Recorder::new(), &CancellationToken::new()).await
}

#[tokio::test]
async fn a_document_gets_its_name_and_a_sidecar() {
    let dir = tempfile::tempdir().unwrap();
    let document = real_pdf();
    let mut task = task(document.len(), "application/pdf");
    (task.copy, task.title) = (3, "../../../etc/passwd\0\n".into());
    task.options.sides = Some("one-sided".into());
    assert_eq!(store(&*at(dir.path()), &task, &mut Script::whole(&document)).await, STORED);
    assert_eq!(names(dir.path()), [format!("{}.json", stem(&task)), format!("{}.pdf", stem(&task))]);
    assert!(std::fs::read(dir.path().join(format!("{}.pdf", stem(&task)))).unwrap() == document);
    let sidecar = std::fs::read(dir.path().join(format!("{}.json", stem(&task)))).unwrap();
    let sidecar: Value = serde_json::from_slice(&sidecar).unwrap();
    assert_eq!(sidecar["sha256"], json!(Sha256Digest::of(&document)));
    assert_eq!((&sidecar["title"], &sidecar["bytes"]), (&json!(task.title), &json!(document.len())));
    assert_eq!(sidecar["options"], json!({ "sides": "one-sided" }));
}

#[tokio::test]
async fn a_second_run_of_the_same_copy_finds_it_there() {
    let dir = tempfile::tempdir().unwrap();
    let task = task(ZPL.len(), "application/vnd.zebra-zpl");
    assert_eq!(store(&*at(dir.path()), &task, &mut Script::whole(ZPL)).await, STORED);
    assert_eq!(at(dir.path()).recover(&task, &Value::Null).await, Recovery::Decided(STORED));
    let nothing = Script::new([Step::Fail(DocumentError::Dropped)]);
    assert_eq!(store(&*at(dir.path()), &task, &mut { nothing }).await, STORED, "not even read again");
}

/// Every point at which a process can die between its intent and its word, as it is found afterwards.
#[tokio::test]
async fn after_a_crash_what_is_there_decides() {
    let task = task(ZPL.len(), "application/vnd.zebra-zpl");
    let stem = stem(&task);
    let (document, sidecar) = (format!("{stem}.zpl"), format!("{stem}.json"));
    let (document_part, sidecar_part) = (format!(".{document}.part"), format!(".{sidecar}.part"));
    let found = async |files: &[&String]| {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(dir.path().join(file), ZPL).unwrap();
        }
        let recovery = at(dir.path()).recover(&task, &Value::Null).await;
        (recovery, names(dir.path()))
    };
    let (recovery, left) = found(&[&document_part, &sidecar_part]).await;
    assert_eq!((recovery, left.len()), (Recovery::NotStarted, 0), "nothing had its name");
    let (recovery, left) = found(&[&document_part, &sidecar]).await;
    assert_eq!((recovery, left.len()), (Recovery::NotStarted, 0), "only the sidecar had its name");
    let (recovery, left) = found(&[&document, &sidecar]).await;
    assert_eq!((recovery, left.len()), (Recovery::Decided(STORED), 2), "both had");
    let (recovery, _) = found(&[&sidecar]).await;
    assert!(matches!(recovery, Recovery::Decided(Outcome::Completed { .. })), "a reader took the document");
    let (recovery, _) = found(&[]).await;
    assert!(matches!(recovery, Recovery::Decided(Outcome::Uncertain { .. })), "{recovery:?}");
}

#[tokio::test]
async fn what_fails_before_the_end_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let task = task(10_000, "application/pdf");
    let mut broken =
        Script::new([Step::Bytes(noise(5000)), Step::Fail(DocumentError::Damaged("crc".into()))]);
    let outcome = store(&*at(dir.path()), &task, &mut broken).await;
    assert!(matches!(outcome, Outcome::Aborted { .. }), "{outcome:?}");
    let journal = Recorder { broken: true, ..Recorder::new() };
    let never = CancellationToken::new();
    let outcome = at(dir.path()).print(&task, &mut Script::whole(ZPL), &journal, &never).await;
    assert_eq!(reason(&outcome), "agent-storage-error");
    assert_eq!(names(dir.path()), [""; 0]);
}

#[tokio::test]
async fn no_link_is_followed_and_nothing_is_written_over() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target: PathBuf = other.path().join("precious");
    std::fs::write(&target, b"data").unwrap();
    let task = task(ZPL.len(), "application/vnd.zebra-zpl");
    for name in [format!("{}.zpl", stem(&task)), format!("{}.json", stem(&task))] {
        std::os::unix::fs::symlink(&target, dir.path().join(&name)).unwrap();
        let outcome = store(&*at(dir.path()), &task, &mut Script::whole(ZPL)).await;
        assert!(!matches!(outcome, Outcome::Completed { .. }), "{name}: {outcome:?}");
        std::fs::remove_file(dir.path().join(&name)).unwrap();
    }
    // A link in the place of the hidden file is thrown away, not written through.
    std::os::unix::fs::symlink(&target, dir.path().join(format!(".{}.zpl.part", stem(&task)))).unwrap();
    assert_eq!(store(&*at(dir.path()), &task, &mut Script::whole(ZPL)).await, STORED);
    assert_eq!(std::fs::read(&target).unwrap(), b"data");
}

#[tokio::test]
async fn a_missing_directory_waits_with_its_reason() {
    let backend = backend("directory:///nonexistent/hot-folder");
    let (outcome, _) = print(&*backend, ZPL, "text/plain").await;
    assert!(matches!(outcome, Outcome::NotStarted { .. }));
    assert_eq!(reason(&outcome), "directory-not-usable");
    assert_eq!(backend.describe().await.state_reasons, ["directory-not-usable"]);
}
