//! docs/events.md says what the code does.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use standardwebhooks::Webhook;

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md")).unwrap()
}

/// The kinds in a text: `quote` stands before and after each.
fn kinds(text: &str, quote: char) -> BTreeSet<String> {
    let is_kind = |word: &&str| {
        let parts =
            word.split_once('.').filter(|(room, _)| ["job", "agent", "printer", "webhook"].contains(room));
        parts.is_some_and(|(_, what)| {
            what.starts_with(|c: char| c.is_ascii_lowercase())
                && what.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        })
    };
    text.split(quote).filter(is_kind).map(str::to_owned).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // Methods of the admin socket are called alike; tests make up their own.
        if path.is_dir() && !["admin", "tests"].contains(&name) {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "fixtures.rs" {
            found.push(path);
        }
    }
}

#[test]
fn every_kind_that_the_code_logs_is_described_and_no_other() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut logged = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        logged.extend(kinds(text.split("#[cfg(test)]").next().unwrap(), '"'));
    }
    let page = page();
    let table = page.split("### Kinds").nth(1).unwrap().split("### Filters").next().unwrap();
    let described = kinds(table, '`');
    assert!(logged.len() > 25 && logged.contains("job.completed") && logged.contains("agent.clone"));
    let missing: Vec<_> = logged.difference(&described).collect();
    let invented: Vec<_> = described.difference(&logged).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "docs/events.md: not described {missing:?}, not logged {invented:?}"
    );
}

/// The code after `<!-- example: NAME -->`.
fn example(name: &str) -> String {
    let page = page();
    let after = page.split(&format!("<!-- example: {name} -->")).nth(1).unwrap().to_owned();
    let code = after.split("```").nth(1).unwrap();
    code.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn the_examples_tell_genuine_requests_from_others() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let body = "{\"type\":\"job.completed\",\"title\":\"\u{1F5A8} \u{e4}\"}";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let sign = |secret: &str, at, body: &str| {
        Webhook::new(secret).unwrap().sign("evt_1", at, body.as_bytes()).unwrap()
    };
    let good = sign(secret, now, body);
    let other = sign("whsec_AAAAAAAA", now, body);
    for (program, name) in [("python3", "verify.py"), ("node", "verify.mjs")] {
        let file = folder.path().join(name);
        std::fs::write(&file, example(name)).unwrap();
        let genuine = |signature: &str, at: i64, body: &str| {
            let mut child = Command::new(program)
                .arg(&file)
                .args(["evt_1", &at.to_string(), signature])
                .env("WEBHOOK_SECRET", secret)
                .stdin(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{program} is needed to run the example: {error}"));
            // One that refuses early does not read it.
            drop(child.stdin.take().unwrap().write_all(body.as_bytes()));
            child.wait().unwrap().success()
        };
        assert!(genuine(&good, now, body), "{name}");
        assert!(genuine(&format!("{other} {good}"), now, body), "{name}: one of two is enough");
        assert!(!genuine(&other, now, body), "{name}: another secret");
        assert!(!genuine(&good, now, &body.replace("completed", "canceled")), "{name}: another body");
        assert!(!genuine(&good, now - 1, body), "{name}: another time");
        assert!(!genuine(&sign(secret, now - 1000, body), now - 1000, body), "{name}: too old");
        assert!(!genuine("v1,", now, body) && !genuine("", now, body), "{name}: no signature");
    }
}
