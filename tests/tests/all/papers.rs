//! What documents say of the code, held against the code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file of the workspace.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !["target", "node_modules", "artifacts"].contains(&name) && !name.starts_with('.')
        {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// Every test as `file::name`, where the file is the last one that the path to the test names.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&top(), &mut files);
    let mut tests = BTreeSet::new();
    for file in files {
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let stem =
            if stem == "mod" { file.parent().unwrap().file_name().unwrap().to_str().unwrap() } else { stem };
        let text = read(&file);
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if !line.trim().starts_with("#[test]") && !line.trim().starts_with("#[tokio::test") {
                continue;
            }
            let Some(head) = lines.by_ref().find(|line| line.contains("fn ")) else { break };
            let name = head.split("fn ").nth(1).unwrap().split('(').next().unwrap();
            tests.insert(format!("{stem}::{name}"));
        }
    }
    assert!(tests.len() > 500, "only {} tests were found", tests.len());
    tests
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// `file::name_of_a_test`, in backticks: a name of several words that no type of ours has.
fn named_tests(text: &str) -> BTreeSet<String> {
    let is_test = |text: &&str| {
        let parts: Vec<&str> = text.split("::").collect();
        let word = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        parts.len() == 2 && parts.iter().all(|part| word(part)) && parts[1].matches('_').count() >= 2
    };
    quoted(text).filter(is_test).map(str::to_owned).collect()
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let named = named_tests(&read(&top().join("SECURITY.md")));
    assert!(named.len() > 40, "the threat model names only {} tests", named.len());
    let tests = tests();
    let missing: Vec<&String> = named.difference(&tests).collect();
    assert!(missing.is_empty(), "SECURITY.md names tests that are not there: {missing:?}");
}

/// The rows of the threat model's tables: each threat has its mitigation and the test that holds it, or says that none does.
#[test]
fn every_threat_has_its_test_or_says_why_not() {
    let text = read(&top().join("SECURITY.md"));
    let mut threats = 0;
    for table in text.split("| threat | mitigation | held by |").skip(1) {
        for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            assert_eq!(cells.len(), 3, "{row}");
            let held = !named_tests(cells[2]).is_empty() || cells[2].starts_with('–');
            assert!(held, "no test and no reason: {row}");
            threats += 1;
        }
    }
    assert!(threats > 30, "only {threats} threats were found");
}

/// The libraries that one `Cargo.toml` names for all crates.
fn dependencies() -> BTreeSet<String> {
    let manifest: toml::Table = read(&top().join("Cargo.toml")).parse().unwrap();
    let all = manifest["workspace"]["dependencies"].as_table().unwrap();
    all.iter().filter(|(_, wish)| wish.get("path").is_none()).map(|(name, _)| name.clone()).collect()
}

#[test]
fn every_dependency_stands_in_the_architecture_with_its_reason_and_no_other() {
    let text = read(&top().join("ARCHITECTURE.md"));
    let section = text.split("## Dependencies").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut listed = BTreeSet::new();
    for row in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() == 2 && cells[1].len() > 8, "a library needs its reason: {row}");
        // `name (where), name; name (where)`
        let names = cells[0].split([',', ';']).map(|name| name.split('(').next().unwrap().trim());
        listed.extend(names.filter(|name| !name.is_empty() && !name.contains(')')).map(str::to_owned));
    }
    let used = dependencies();
    let missing: Vec<_> = used.difference(&listed).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md gives no reason for {missing:?}");
    let gone: Vec<_> = listed.difference(&used).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md has reasons for what is not used: {gone:?}");
}

/// A crate that names a version of its own would stand in no list.
#[test]
fn crates_take_their_versions_from_the_workspace() {
    let manifest: toml::Table = read(&top().join("Cargo.toml")).parse().unwrap();
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        let path = top().join(member.as_str().unwrap()).join("Cargo.toml");
        let manifest: toml::Table = read(&path).parse().unwrap();
        let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
        let of =
            |table: &'static str, from: &toml::Table| from.get(table).and_then(|it| it.as_table()).cloned();
        let mut all = toml::Table::new();
        for kind in kinds {
            all.extend(of(kind, &manifest).unwrap_or_default());
            for target in
                manifest.get("target").and_then(|it| it.as_table()).into_iter().flat_map(|it| it.values())
            {
                all.extend(target.as_table().and_then(|it| of(kind, it)).unwrap_or_default());
            }
        }
        for (name, wish) in &all {
            let shared = wish.get("workspace").and_then(toml::Value::as_bool) == Some(true);
            assert!(shared, "{}: {name} must be `workspace = true`", path.display());
        }
    }
}
