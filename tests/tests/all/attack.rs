//! Bad input of every kind, against real processes, while a bystander prints label after label. Each attack must meet
//! its own error or close code at the side at fault, be counted and logged once, and hurt nobody else.

mod bystander;
mod dial;
mod disk;
mod frames;
mod requests;
mod secrets;
mod session;
mod spool;
mod store;
mod strangers;
mod upload;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use inkwire_client::Client;
use inkwire_tests::lab::{Broker, wait_until};

use self::bystander::Bystander;
use crate::support::client;

const RAW: &str = "application/octet-stream";

/// A broker under attack and an agent that has nothing to do with it.
struct Scene {
    dir: tempfile::TempDir,
    broker: Broker,
    client: Client,
    bystander: Bystander,
}

impl Scene {
    /// A broker with more lines of configuration.
    async fn with(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("broker.toml");
        std::fs::write(&file, config).unwrap();
        let broker =
            Broker::start_with(&dir.path().join("broker"), &["--config", file.to_str().unwrap()], &[]);
        let client = client(&broker, "submit").await;
        let bystander = Bystander::start(&dir.path().join("bystander"), &broker, &client).await;
        Self { dir, broker, client, bystander }
    }

    fn url(&self) -> &str {
        &self.broker.ready().pair_url
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What `inkwire admin status` counts.
    fn counters(&self) -> BTreeMap<String, u64> {
        let status = self.broker.admin(&["status"]);
        serde_json::from_value(status["counters"].clone()).expect("counters are numbers")
    }

    /// How often requests were refused with this problem: counted, and logged.
    fn refused(&self, problem: &str) -> (u64, usize) {
        let status = self.broker.admin(&["status"]);
        let counted = status["problems"][problem].as_u64().unwrap_or(0);
        (counted, self.logged(&["request refused", &format!("problem=\"{problem}\"")]))
    }

    /// Lines of the broker's log that have all of this.
    fn logged(&self, having: &[&str]) -> usize {
        let log = std::fs::read_to_string(self.dir.path().join("broker/broker.log")).unwrap_or_default();
        log.lines().filter(|line| having.iter().all(|it| line.contains(it))).count()
    }

    /// Runs an attack that the broker counts under `counter` and logs in one line that has all of `having`.
    fn costs(&self, counter: &str, having: &[&str], attack: impl FnOnce()) {
        let before = (self.counted(counter), self.logged(having));
        attack();
        let after = (before.0 + 1, before.1 + 1);
        let found = || (self.counted(counter), self.logged(having));
        wait_until(Duration::from_secs(5), || found() >= after);
        assert_eq!(found(), after, "counted as {counter} and logged once with {having:?}");
    }

    fn counted(&self, counter: &str) -> u64 {
        self.counters().get(counter).copied().unwrap_or(0)
    }
}
