//! What `inkwire login` remembers: the broker's address with its pin, and the key; readable by nobody else.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// The remembered broker.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    pub(crate) url: String,
    pub(crate) key: String,
}

/// Where it is kept: `$XDG_CONFIG_HOME/inkwire/login.json` or what the system has for this.
pub(crate) fn path() -> Result<PathBuf, Failure> {
    let folder = folder().ok_or_else(|| {
        Failure::usage("there is no folder for your configuration (no home): use --broker and --key, or INKWIRE_URL and INKWIRE_KEY")
    })?;
    Ok(folder.join("login.json"))
}

fn folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if cfg!(windows) {
        return set("APPDATA").map(|dir| dir.join("Inkwire"));
    }
    if cfg!(target_os = "macos") {
        return std::env::home_dir().map(|home| home.join("Library/Application Support/Inkwire"));
    }
    let config = set("XDG_CONFIG_HOME").or_else(|| Some(std::env::home_dir()?.join(".config")))?;
    Some(config.join("inkwire"))
}

/// What was remembered, if anything.
pub(crate) fn read() -> Result<Option<Login>, Failure> {
    let path = path()?;
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display()))?,
    };
    let login = serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged: run `inkwire login` again", path.display()))?;
    Ok(Some(login))
}

/// Remembers, with mode 0600.
pub(crate) fn write(login: &Login) -> Result<PathBuf, Failure> {
    let path = path()?;
    if let Some(folder) = path.parent() {
        inkwire_service::fsio::create_dir_durable(folder, 0o700).map_err(anyhow::Error::from)?;
    }
    let text = serde_json::to_vec_pretty(login).map_err(anyhow::Error::from)?;
    inkwire_service::fsio::write_durable(&path, &text, 0o600).map_err(anyhow::Error::from)?;
    Ok(path)
}
