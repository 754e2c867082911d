//! Configuration files: TOML into a raw struct that denies unknown fields. Checking the values is the daemon's.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Largest configuration that is read: a thousand printers fit.
pub const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// A configuration that cannot be used; says which file, and where in it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than [`MAX_CONFIG_BYTES`].
    #[error("the configuration {} is larger than {MAX_CONFIG_BYTES} bytes", path.display())]
    Large {
        /// Which.
        path: PathBuf,
    },
    /// It is not TOML, a key is unknown or missing, or a value is of the wrong type.
    #[error("{}{}: {message}", path.display(), place(*line, key))]
    Parse {
        /// Which file.
        path: PathBuf,
        /// The line, where it is known.
        line: Option<usize>,
        /// The key that the line sets, where there is one.
        key: Option<String>,
        /// What is wrong.
        message: String,
    },
}

fn place(line: Option<usize>, key: &Option<String>) -> String {
    let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    let key = key.as_ref().map(|key| format!(", `{key}`")).unwrap_or_default();
    line + &key
}

/// Reads the TOML file at `path`.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    let read = file.take(MAX_CONFIG_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if read as u64 > MAX_CONFIG_BYTES {
        return Err(ConfigError::Large { path: path.to_owned() });
    }
    parse(&text, path)
}

/// The same for a text; `path` is what errors name.
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map(|before| before.matches('\n').count() + 1);
        let key = line.and_then(|line| key_on(text.lines().nth(line - 1)?));
        // The library's message alone: its longer form quotes the line, which may hold a secret.
        ConfigError::Parse { path: path.to_owned(), line, key, message: error.message().to_owned() }
    })
}

/// The key of a line `key = value` or `[table]`.
fn key_on(line: &str) -> Option<String> {
    let line = line.trim();
    let key = match line.strip_prefix('[') {
        Some(table) => table.trim_matches(['[', ']']),
        None => line.split_once('=')?.0.trim(),
    };
    let plain = |c: char| c.is_alphanumeric() || "_-.\"".contains(c);
    (!key.is_empty() && key.len() <= 64 && key.chars().all(plain)).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Raw {
        listen: String,
        limits: Option<Limits>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limits {
        bytes: Option<u64>,
    }

    fn error(text: &str) -> String {
        parse::<Raw>(text, Path::new("broker.toml")).unwrap_err().to_string()
    }

    #[test]
    fn a_good_file_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "listen = \"[::]:8443\"\n[limits]\nbytes = 7\n").unwrap();
        let raw: Raw = load(file.path()).unwrap();
        assert_eq!((raw.listen.as_str(), raw.limits.unwrap().bytes), ("[::]:8443", Some(7)));
    }

    #[test]
    fn errors_name_file_line_and_key_but_no_value() {
        let unknown = error("listen = \"a\"\nlisten_on = \"hunter2\"\n");
        assert!(unknown.starts_with("broker.toml, line 2, `listen_on`: unknown field"), "{unknown}");
        assert!(!unknown.contains("hunter2"), "{unknown}");
        let wrong = error("listen = \"a\"\n[limits]\nbytes = \"many\"\n");
        assert!(wrong.starts_with("broker.toml, line 3, `bytes`: invalid type"), "{wrong}");
        let missing = error("[limits]\n");
        assert!(missing.contains("missing field `listen`"), "{missing}");
        assert!(error("listen = ").contains("line 1"));
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.toml");
        assert!(load::<Raw>(&path).unwrap_err().to_string().contains("none.toml"));
        std::fs::write(&path, vec![b'#'; MAX_CONFIG_BYTES as usize + 1]).unwrap();
        assert!(matches!(load::<Raw>(&path), Err(ConfigError::Large { .. })));
    }
}
