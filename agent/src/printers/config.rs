//! A printer as it stands in the configuration, and the checked form that back-ends are made of.

use std::collections::BTreeSet;
use std::path::PathBuf;

use inkwire_protocol::ids::{PrinterNumber, Sha256Digest};
use inkwire_protocol::limits::MAX_NAME_CHARS;
use inkwire_protocol::printer::{Backend, PrinterInfo, PrinterState};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::ipp::CupsServer;

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
    /// `ipps`: the SHA-256 of the printer's certificate in hexadecimal digits, instead of trust at first use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
    /// `ipp`: the CUPS server of a queue on this PC, and through which a raster-only printer gets its PDFs: `host:port`
    /// or the path of a Unix socket. The system's own by default.
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

/// What every back-end shows of its configuration.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) name: String,
    pub(super) number: PrinterNumber,
    /// Empty: not configured.
    pub(super) formats: Vec<String>,
    pub(super) make_and_model: Option<String>,
    pub(super) location: Option<String>,
}

impl Common {
    /// A printer that cannot tell anything itself.
    pub(super) fn info(&self, backend: Backend, streams: bool) -> PrinterInfo {
        let formats = match self.formats.is_empty() {
            true => vec!["application/octet-stream".to_owned()],
            false => self.formats.clone(),
        };
        PrinterInfo {
            number: self.number,
            name: self.name.clone(),
            backend,
            make_and_model: self.make_and_model.clone(),
            location: self.location.clone(),
            formats,
            state: PrinterState::Unknown,
            state_reasons: Vec::new(),
            state_message: None,
            capabilities: Default::default(),
            markers: Vec::new(),
            streams,
        }
    }
}

/// Where a printer is, checked.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Ipp { uri: Url, pin: Option<Sha256Digest>, cups: Option<CupsServer> },
    Socket { host: String, port: u16 },
    Device { path: PathBuf },
    Command { program: PathBuf, arguments: Vec<String>, working_dir: PathBuf },
    Directory { path: PathBuf },
}

/// Checks a configuration. Pure: looks at no device and no file.
pub(super) fn check(raw: &PrinterConfig) -> Result<(Common, Target), PrinterConfigError> {
    let wrong = |problem: String| PrinterConfigError { name: raw.name.clone(), problem };
    if raw.name.trim().is_empty() || raw.name.chars().count() > MAX_NAME_CHARS {
        return Err(wrong(format!("`name` must have 1 to {MAX_NAME_CHARS} characters")));
    }
    if let Some(format) = raw.formats.iter().find(|format| !is_mime(format)) {
        return Err(wrong(format!(
            "`formats` has `{format}`, which is not a MIME type such as application/pdf"
        )));
    }
    let common = Common {
        name: raw.name.clone(),
        number: PrinterNumber(raw.number.unwrap_or(0)),
        formats: raw.formats.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        make_and_model: raw.make_and_model.clone(),
        location: raw.location.clone(),
    };
    Ok((common, target(raw).map_err(wrong)?))
}

fn is_mime(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && c != '/');
    text.split(';')
        .next()
        .and_then(|essence| essence.trim().split_once('/'))
        .is_some_and(|(a, b)| part(a) && part(b))
}

fn target(raw: &PrinterConfig) -> Result<Target, String> {
    let uri = Url::parse(&raw.uri).map_err(|error| format!("`uri` `{}` cannot be read: {error}", raw.uri))?;
    if !uri.username().is_empty() || uri.password().is_some() {
        return Err("`uri` must not carry a user or password".into());
    }
    match uri.scheme() {
        "ipp" | "ipps" => ipp(raw, uri),
        "socket" => Ok(Target::Socket { host: host(&uri)?, port: uri.port().unwrap_or(9100) }),
        "device" => Ok(Target::Device { path: path(&uri)? }),
        "command" => Ok(Target::Command {
            program: path(&uri)?,
            arguments: arguments(&uri)?,
            working_dir: raw.working_dir.clone().unwrap_or_else(|| PathBuf::from("/")),
        }),
        "directory" => Ok(Target::Directory { path: path(&uri)? }),
        other => Err(format!(
            "`uri` has the unknown scheme `{other}`; ipp, ipps, socket, device, command and directory are known"
        )),
    }
}

fn ipp(raw: &PrinterConfig, uri: Url) -> Result<Target, String> {
    host(&uri)?;
    let pin = raw.certificate_sha256.as_deref().map(|text| text.replace(':', "").to_lowercase().parse());
    let pin = pin.transpose().map_err(|error| format!("`certificate_sha256`: {error}"))?;
    let cups = raw.cups_server.as_deref().map(str::parse).transpose()?;
    Ok(Target::Ipp { uri, pin, cups })
}

fn host(uri: &Url) -> Result<String, String> {
    match uri.host() {
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
        Some(Host::Domain("")) | None => Err(format!("`uri` needs a host: {}://HOST", uri.scheme())),
        Some(host) => Ok(host.to_string()),
    }
}

/// The path of `scheme:///path`, percent-decoded.
fn path(uri: &Url) -> Result<PathBuf, String> {
    let shape = || format!("`uri` must be {0}:///absolute/path (three slashes)", uri.scheme());
    if uri.host_str().is_some_and(|host| !host.is_empty() && host != "localhost") {
        return Err(shape());
    }
    let mut file = uri.clone();
    // Only `file:` URLs are turned into paths by the url crate; the parts are the same.
    let text = file.path().to_owned();
    file = Url::parse(&format!("file://{text}")).map_err(|_| shape())?;
    let path = file.to_file_path().map_err(|()| shape())?;
    if path.parent().is_none() && uri.scheme() != "directory" { Err(shape()) } else { Ok(path) }
}

fn arguments(uri: &Url) -> Result<Vec<String>, String> {
    let of_pair = |(key, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| match key.as_ref() {
        "arg" => Ok(value.into_owned()),
        other => Err(format!("`uri` has `{other}=`; only `arg=` is known")),
    };
    uri.query_pairs().map(of_pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(uri: &str) -> Result<Target, PrinterConfigError> {
        check(&PrinterConfig { name: "p".into(), uri: uri.into(), ..Default::default() })
            .map(|(_, target)| target)
    }

    #[test]
    fn every_scheme_gives_its_target() {
        assert!(matches!(checked("ipp://printer.lan/ipp/print"), Ok(Target::Ipp { .. })));
        let Ok(Target::Socket { host, port: 9100 }) = checked("socket://[::1]") else { panic!() };
        assert_eq!(host, "::1");
        assert!(matches!(checked("socket://10.0.0.9:9101"), Ok(Target::Socket { port: 9101, .. })));
        let Ok(Target::Device { path }) = checked("device:///dev/usb/lp0") else { panic!() };
        assert_eq!(path, PathBuf::from("/dev/usb/lp0"));
        let Ok(Target::Directory { path }) = checked("directory:///srv/hot%20folder") else { panic!() };
        assert_eq!(path, PathBuf::from("/srv/hot folder"));
        let Ok(Target::Command { program, arguments, .. }) = checked("command:///bin/lp?arg=-d&arg=a%20b")
        else {
            panic!()
        };
        assert_eq!((program, arguments), (PathBuf::from("/bin/lp"), vec!["-d".to_owned(), "a b".to_owned()]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (uri, word) in [
            ("lpd://x", "lpd"),
            ("socket://", "host"),
            ("device://dev/lp0", "three slashes"),
            ("command:///bin/lp?shell=1", "shell"),
            ("ipp://me:secret@printer/ipp/print", "password"),
            ("nonsense", "cannot be read"),
        ] {
            let error = checked(uri).unwrap_err().to_string();
            assert!(error.contains(word) && error.starts_with("printer `p`"), "{uri}: {error}");
        }
        let raw = PrinterConfig {
            name: "p".into(),
            uri: "socket://h".into(),
            formats: vec!["pdf".into()],
            ..Default::default()
        };
        assert!(check(&raw).unwrap_err().to_string().contains("`pdf`"));
    }
}
