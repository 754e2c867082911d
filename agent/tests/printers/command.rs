use std::path::Path;
use std::time::Duration;

use inkwire_agent::printers::backend::{DocumentError, Outcome};
use inkwire_protocol::message::Witness;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::support::*;

/// A script as a program: `/bin/sh script folder`.
fn script(dir: &Path, text: &str) -> String {
    let path = dir.join("script.sh");
    std::fs::write(&path, text).unwrap();
    format!("command:///bin/sh?arg={}&arg={}", path.display(), dir.display())
}

async fn outcome_of(text: &str) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    print(&*backend(script(dir.path(), text)), ZPL, "application/vnd.zebra-zpl").await.0
}

#[tokio::test]
async fn the_program_gets_the_document_and_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let document = real_pdf();
    let uri = script(dir.path(), "cat > $1/got; env > $1/env; echo $INKWIRE_OPTIONS > $1/options; exit 0");
    let (outcome, journal) = print(&*backend(uri), &document, "application/pdf").await;
    assert_eq!(outcome, Outcome::Completed { witness: Witness::Program, detail: None });
    assert!(std::fs::read(dir.path().join("got")).unwrap() == document);
    let environment = std::fs::read_to_string(dir.path().join("env")).unwrap();
    for line in ["INKWIRE_TITLE=Delivery note 4711", "INKWIRE_FORMAT=application/pdf", "INKWIRE_COPY=1"] {
        assert!(environment.lines().any(|have| have == line), "{line} in {environment}");
    }
    assert!(environment.contains(&format!("INKWIRE_BYTES={}", document.len())));
    assert!(!environment.contains("CARGO_"), "nothing else of the agent's environment");
    assert_eq!(std::fs::read_to_string(dir.path().join("options")).unwrap().trim(), "{}");
    assert_eq!(journal.intents.borrow().len(), 1);
}

#[tokio::test]
async fn the_exit_code_is_the_outcome() {
    let failed = outcome_of("cat >/dev/null; echo no ribbon >&2; exit 3").await;
    let Outcome::Aborted { reason, detail } = &failed else { panic!("{failed:?}") };
    assert!(
        reason == "program-failed" && detail.contains("exit code 3") && detail.contains("no ribbon"),
        "{detail}"
    );
    let later = outcome_of("exit 75").await;
    assert!(
        matches!(&later, Outcome::NotStarted { .. }) && reason_is(&later, "program-not-ready"),
        "{later:?}"
    );
    let killed = outcome_of("cat >/dev/null; kill -9 $$").await;
    assert!(
        matches!(&killed, Outcome::Uncertain { .. }) && reason_is(&killed, "program-killed"),
        "{killed:?}"
    );
    let unread = outcome_of("exit 0").await;
    assert_eq!(unread, Outcome::Completed { witness: Witness::Program, detail: None });
    let (missing, _) = print(&*backend("command:///nonexistent/program"), ZPL, "text/plain").await;
    assert!(
        matches!(&missing, Outcome::NotStarted { .. }) && reason_is(&missing, "program-missing"),
        "{missing:?}"
    );
    assert_eq!(backend("command:///nonexistent/program").describe().await.state_reasons, ["program-missing"]);
}

fn reason_is(outcome: &Outcome, wanted: &str) -> bool {
    reason(outcome) == wanted
}

#[tokio::test]
async fn a_flood_on_standard_error_is_bounded_and_its_end_kept() {
    let outcome = outcome_of(
        "cat >/dev/null; i=0; while [ $i -lt 20000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1",
    )
    .await;
    let Outcome::Aborted { detail, .. } = outcome else { panic!("{outcome:?}") };
    assert!(detail.contains("line 19999") && detail.len() < 1024, "{detail}");
}

async fn is_gone(pid: &str) {
    let path = format!("/proc/{pid}/stat");
    within(async {
        // A zombie of another parent counts as gone.
        while std::fs::read_to_string(&path).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_cancel_ends_the_whole_group() {
    let dir = tempfile::tempdir().unwrap();
    let uri = script(dir.path(), "trap '' TERM; sleep 600 & echo $! > $1/pid; cat >/dev/null; wait");
    let (cancel, journal) = (CancellationToken::new(), Recorder::new());
    let (_hold, wait) = oneshot::channel();
    let mut document = Script::new([Step::Bytes(ZPL.to_vec()), Step::Wait(wait)]);
    let (task, backend) = (task(10_000, "text/plain"), backend(uri));
    let canceling = async {
        while !std::fs::read_to_string(dir.path().join("pid")).is_ok_and(|pid| pid.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        journal.until_delivered(ZPL.len() as u64).await;
        cancel.cancel();
    };
    let (outcome, ()) =
        within(async { tokio::join!(backend.print(&task, &mut document, &journal, &cancel), canceling) })
            .await;
    assert_eq!(reason(&outcome), "canceled-at-device", "it ignored SIGTERM and was killed");
    is_gone(std::fs::read_to_string(dir.path().join("pid")).unwrap().trim()).await;
}

#[tokio::test]
async fn a_program_that_says_at_a_cancel_that_it_printed_nothing_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let uri = script(dir.path(), "trap 'exit 75' TERM; touch $1/ready; while :; do sleep 0.05; done");
    let (cancel, journal) = (CancellationToken::new(), Recorder::new());
    let (_hold, wait) = oneshot::channel();
    let mut document = Script::new([Step::Bytes(ZPL.to_vec()), Step::Wait(wait)]);
    let (task, backend) = (task(10_000, "text/plain"), backend(uri));
    let canceling = async {
        journal.until_delivered(ZPL.len() as u64).await;
        while !dir.path().join("ready").exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cancel.cancel();
    };
    let (outcome, ()) =
        within(async { tokio::join!(backend.print(&task, &mut document, &journal, &cancel), canceling) })
            .await;
    assert_eq!(outcome, Outcome::Canceled);
}

#[tokio::test]
async fn a_document_that_breaks_off_never_looks_whole_to_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let uri = script(dir.path(), "echo $$ > $1/pid; cat >/dev/null; touch $1/whole; exit 0");
    let journal = Recorder::new();
    let (go, wait) = oneshot::channel();
    let broken = Step::Fail(DocumentError::Damaged("crc".into()));
    let mut document = Script::new([Step::Bytes(ZPL.to_vec()), Step::Wait(wait), broken]);
    let (task, backend, never) = (task(10_000, "text/plain"), backend(uri), CancellationToken::new());
    let breaking = async {
        while !std::fs::read_to_string(dir.path().join("pid")).is_ok_and(|pid| pid.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        go.send(()).unwrap();
    };
    let (outcome, ()) =
        within(async { tokio::join!(backend.print(&task, &mut document, &journal, &never), breaking) }).await;
    assert_eq!(reason(&outcome), "spool-damaged");
    is_gone(std::fs::read_to_string(dir.path().join("pid")).unwrap().trim()).await;
    assert!(!dir.path().join("whole").exists());
}

#[tokio::test]
async fn nothing_that_a_job_says_becomes_a_command() {
    let dir = tempfile::tempdir().unwrap();
    // The program is named with its arguments by the configuration; a shell sees none of the job's words but as values.
    let uri = script(
        dir.path(),
        "cat > $1/got; printf '%s\\0' \"$#\" \"$INKWIRE_TITLE\" \"$INKWIRE_FORMAT\" > $1/said",
    );
    for hostile in [
        "; touch $1/pwned; #",
        "$(touch pwned)",
        "`touch pwned`",
        "a\nINKWIRE_JOB=forged\nPATH=/tmp",
        "a\0b",
        "--help",
        "../../../etc/passwd",
    ] {
        let mut task = task(ZPL.len(), &format!("text/plain; {hostile}"));
        task.title = hostile.to_owned();
        let (journal, never) = (Recorder::new(), CancellationToken::new());
        let outcome = within(backend(&*uri).print(&task, &mut Script::whole(ZPL), &journal, &never)).await;
        assert_eq!(outcome, Outcome::Completed { witness: Witness::Program, detail: None }, "{hostile:?}");
        let said = std::fs::read_to_string(dir.path().join("said")).unwrap();
        let lines: Vec<&str> = said.split_terminator('\0').collect();
        assert_eq!((lines.len(), lines[0]), (3, "1"), "{hostile:?}: {said}");
        // What no environment can hold is left out.
        let shown = hostile.replace('\0', "");
        assert!(lines[1].contains(shown.split_whitespace().next().unwrap()), "{hostile:?}: {said}");
        assert!(std::fs::read(dir.path().join("got")).unwrap() == ZPL);
        let mut names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["got", "said", "script.sh"], "{hostile:?}");
    }
}
