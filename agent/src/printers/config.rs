//! A printer as it stands in the configuration, and the checked form that back-ends are made of.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One `[[printer]]` of the configuration, unchecked. [`super::build`] checks it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrinterConfig {
    /// Its name on this agent.
    pub name: String,
    /// `ipp://..`, `ipps://..`, `socket://host[:9100]`, `device:///dev/usb/lp0`, `command:///program?arg=..&arg=..`
    /// or `directory:///path`.
    pub uri: String,
    /// Its number on this agent; the ledger gives one where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u16>,
    /// MIME types that it takes. An `ipp` printer tells its own; a list here narrows them.
    /// For the other back-ends the default is `application/octet-stream`: anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<String>,
    /// Shown to people; an `ipp` printer tells its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make_and_model: Option<String>,
    /// Shown to people; an `ipp` printer tells its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// `ipp`: the SHA-256 of the printer's certificate in hexadecimal digits, instead of trust at first use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
    /// `ipp`: the CUPS server through which a raster-only printer gets its PDFs: `host:port` or the path of a
    /// Unix socket. The system's own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cups_server: Option<String>,
    /// `command`: the folder in which the program runs; `/` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<PathBuf>,
}

/// What is wrong with a printer's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("printer `{name}`: {problem}")]
pub struct PrinterConfigError {
    /// The printer's name.
    pub name: String,
    /// What is wrong and how to put it right.
    pub problem: String,
}
