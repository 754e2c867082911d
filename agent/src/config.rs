//! The agent's configuration: [`RawConfig`] as people write it, [`Config`] as the agent uses it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::limits;
use crate::printers::PrinterConfig;
use inkwire_protocol::limits::{MAX_NAME_CHARS, MAX_PRINTERS};

/// The configuration file (TOML), unchecked. Every key may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Where identity, ledger and spool live; [`default_state_dir`] unless said.
    #[serde(default)]
    pub state_dir: Option<PathBuf>,
    /// Whether the queues of the local CUPS server are offered too; yes unless said.
    #[serde(default)]
    pub discover_cups: Option<bool>,
    /// Free space that the spool leaves on its disk, so that outcomes can still be written down.
    #[serde(default)]
    pub min_free_bytes: Option<u64>,
    /// How often printers are asked for their state, in milliseconds.
    #[serde(default)]
    pub poll_printers_ms: Option<u64>,
    /// Printers by configuration.
    #[serde(default, rename = "printer")]
    pub printers: Vec<PrinterConfig>,
}

/// The checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where identity, ledger and spool live.
    pub state_dir: PathBuf,
    /// Whether the queues of the local CUPS server are offered too.
    pub discover_cups: bool,
    /// Free space that the spool leaves on its disk.
    pub min_free_bytes: u64,
    /// How often printers are asked for their state.
    pub poll_printers: Duration,
    /// Printers by configuration; names and given numbers are unique.
    pub printers: Vec<PrinterConfig>,
}

/// A configuration that cannot be used. Each names the key and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no place for the state.
    #[error("`state_dir` is not set and this system names no place for it: set `state_dir` or --state")]
    NoStateDir,
    /// A value is outside its bounds.
    #[error("`{key}` is {value}; it must be {allowed}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// What it says.
        value: u64,
        /// What it may be.
        allowed: &'static str,
    },
    /// A printer without a usable name.
    #[error("`printer.name` `{0}` is empty or longer than {MAX_NAME_CHARS} characters")]
    PrinterName(String),
    /// Two printers of one name.
    #[error("two printers are called `{0}`: give each its own `name`")]
    TwiceNamed(String),
    /// Two printers of one number.
    #[error("two printers have the number {0}: give each its own `number`, or none")]
    TwiceNumbered(u16),
    /// More printers than one agent may have.
    #[error("{0} printers are configured; one agent has at most {MAX_PRINTERS}")]
    TooManyPrinters(usize),
}

impl RawConfig {
    /// Checks everything that can be checked without touching a device; back-ends check their own keys in
    /// [`crate::printers::build`].
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn check(self) -> Result<Config, ConfigError> {
        let state_dir = self.state_dir.or_else(default_state_dir).ok_or(ConfigError::NoStateDir)?;
        let poll_ms = self.poll_printers_ms.unwrap_or(limits::POLL_PRINTERS_MS);
        if !(250..=3_600_000).contains(&poll_ms) {
            let (key, allowed) = ("poll_printers_ms", "250 to 3600000");
            return Err(ConfigError::OutOfRange { key, value: poll_ms, allowed });
        }
        check_printers(&self.printers)?;
        Ok(Config {
            state_dir,
            discover_cups: self.discover_cups.unwrap_or(true),
            min_free_bytes: self.min_free_bytes.unwrap_or(limits::MIN_FREE_BYTES),
            poll_printers: Duration::from_millis(poll_ms),
            printers: self.printers,
        })
    }
}

fn check_printers(printers: &[PrinterConfig]) -> Result<(), ConfigError> {
    if printers.len() > MAX_PRINTERS {
        return Err(ConfigError::TooManyPrinters(printers.len()));
    }
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for printer in printers {
        if printer.name.trim().is_empty() || printer.name.chars().count() > MAX_NAME_CHARS {
            return Err(ConfigError::PrinterName(printer.name.chars().take(64).collect()));
        }
        if !names.insert(printer.name.as_str()) {
            return Err(ConfigError::TwiceNamed(printer.name.clone()));
        }
        match printer.number {
            Some(0) => {
                let (key, allowed) = ("printer.number", "1 to 65535, or left out");
                return Err(ConfigError::OutOfRange { key, value: 0, allowed });
            }
            Some(number) if !numbers.insert(number) => return Err(ConfigError::TwiceNumbered(number)),
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// Where the state lives unless said: `/var/lib/inkwire/agent` for root, `$XDG_STATE_HOME/inkwire/agent` (or
/// `~/.local/state/...`) for others; `%ProgramData%\Inkwire\Agent` on Windows; `~/Library/Application Support/Inkwire/Agent`
/// on macOS.
pub fn default_state_dir() -> Option<PathBuf> {
    place::default_state_dir()
}

#[cfg(target_os = "windows")]
mod place {
    use std::path::PathBuf;

    pub(super) fn default_state_dir() -> Option<PathBuf> {
        std::env::var_os("ProgramData").map(|dir| PathBuf::from(dir).join("Inkwire").join("Agent"))
    }
}

#[cfg(target_os = "macos")]
mod place {
    use std::path::PathBuf;

    pub(super) fn default_state_dir() -> Option<PathBuf> {
        std::env::home_dir().map(|home| home.join("Library/Application Support/Inkwire/Agent"))
    }
}

#[cfg(not(any(target_os = "windows", target_os = "macos")))]
mod place {
    use std::path::PathBuf;

    pub(super) fn default_state_dir() -> Option<PathBuf> {
        if let Some(dir) = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()) {
            return Some(PathBuf::from(dir).join("inkwire/agent"));
        }
        // By `sudo` too, which may leave the home as it was.
        if rustix::process::geteuid().is_root() {
            return Some(PathBuf::from("/var/lib/inkwire/agent"));
        }
        let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty())?;
        Some(home.join(".local/state/inkwire/agent"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawConfig {
        let mut raw: RawConfig = toml_of(text);
        raw.state_dir.get_or_insert_with(|| "/s".into());
        raw
    }

    fn toml_of(text: &str) -> RawConfig {
        toml::from_str(text).unwrap()
    }

    fn printer(name: &str, number: Option<u16>) -> PrinterConfig {
        PrinterConfig { name: name.into(), uri: "directory:///p".into(), number, ..PrinterConfig::default() }
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let config = raw("").check().unwrap();
        assert!(config.discover_cups && config.printers.is_empty());
        assert_eq!(config.min_free_bytes, limits::MIN_FREE_BYTES);
    }

    #[test]
    fn printers_are_told_apart_by_name_and_number() {
        let with = |printers| RawConfig { printers, ..raw("") }.check();
        assert!(with(vec![printer("a", None), printer("b", None), printer("c", Some(7))]).is_ok());
        assert_eq!(
            with(vec![printer("a", None), printer("a", None)]),
            Err(ConfigError::TwiceNamed("a".into()))
        );
        assert_eq!(
            with(vec![printer("a", Some(7)), printer("b", Some(7))]),
            Err(ConfigError::TwiceNumbered(7))
        );
        assert!(with(vec![printer(" ", None)]).is_err() && with(vec![printer("a", Some(0))]).is_err());
    }

    #[test]
    fn a_mistyped_key_is_an_error_that_names_it() {
        let error = toml::from_str::<RawConfig>("discover = true").unwrap_err();
        assert!(error.to_string().contains("`discover`"), "{error}");
    }
}
