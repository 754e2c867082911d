//! Bans, licences and sources of deny.toml, held against `cargo metadata`: for machines without cargo-deny.

mod spdx;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::run::{cargo, root};

/// The part of deny.toml that is held here.
#[derive(Deserialize)]
struct Deny {
    bans: Bans,
    licenses: Licenses,
    sources: Sources,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

/// What was found.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) checked: usize,
    pub(crate) problems: Vec<String>,
}

pub(crate) fn check() -> Result<Report> {
    let path = root().join("deny.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let deny: Deny = toml::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
    let text = cargo(["metadata", "--format-version", "1", "--locked"]).output()?;
    let metadata: Metadata =
        serde_json::from_str(&text).context("cannot read the answer of `cargo metadata`")?;
    let problems = metadata.packages.iter().flat_map(|package| problems_of(package, &deny)).collect();
    Ok(Report { checked: metadata.packages.len(), problems })
}

fn problems_of(package: &Package, deny: &Deny) -> Vec<String> {
    let who = format!("{} {}", package.name, package.version);
    let mut problems = Vec::new();
    if let Some(ban) = deny.bans.deny.iter().find(|ban| ban.name == package.name) {
        problems.push(format!("{who} is banned: {}", ban.reason));
    }
    match &package.license {
        Some(license) if spdx::allowed(license, &deny.licenses.allow) => {}
        Some(license) => {
            problems.push(format!("{who} has the licence {license}, which deny.toml does not allow"))
        }
        None => problems.push(format!("{who} states no licence")),
    }
    if let Some(source) = &package.source {
        let registry = source.strip_prefix("registry+").unwrap_or(source);
        if !deny.sources.allow_registry.iter().any(|allowed| allowed == registry) {
            problems.push(format!("{who} comes from {source}, which deny.toml does not allow"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deny() -> Deny {
        toml::from_str(
            "[bans]\ndeny = [{ crate = 'bad', reason = 'because' }]\n[licenses]\nallow = ['MIT']\n\
             [sources]\nallow-registry = ['https://index']",
        )
        .unwrap()
    }

    fn package(name: &str, license: Option<&str>, source: Option<&str>) -> Package {
        Package {
            name: name.into(),
            version: "1.0.0".into(),
            license: license.map(Into::into),
            source: source.map(Into::into),
        }
    }

    #[test]
    fn a_package_by_the_rules_is_no_problem() {
        let good = package("good", Some("MIT OR GPL-3.0"), Some("registry+https://index"));
        assert!(problems_of(&good, &deny()).is_empty());
        assert!(problems_of(&package("ours", Some("MIT"), None), &deny()).is_empty());
    }

    #[test]
    fn each_rule_names_the_package_that_breaks_it() {
        let bad = package("bad", None, Some("git+https://elsewhere"));
        let problems = problems_of(&bad, &deny());
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems.iter().all(|problem| problem.starts_with("bad 1.0.0 ")), "{problems:?}");
    }
}
