//! Where a CUPS server listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The port of IPP.
const IPP_PORT: u16 = 631;

/// Where a CUPS server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::printers) enum CupsServer {
    /// A Unix socket, CUPS's own way on one PC.
    Unix(PathBuf),
    /// A host and port.
    Tcp(String, u16),
}

impl CupsServer {
    /// What `lpadmin -h` takes.
    pub(super) fn argument(&self) -> String {
        self.to_string()
    }

    /// The address of a queue on it.
    pub(super) fn queue_uri(&self, queue: &str) -> String {
        match self {
            Self::Unix(_) => format!("ipp://localhost/printers/{queue}"),
            Self::Tcp(host, port) if host.contains(':') => format!("ipp://[{host}]:{port}/printers/{queue}"),
            Self::Tcp(host, port) => format!("ipp://{host}:{port}/printers/{queue}"),
        }
    }

    /// The system's own: its Unix socket where there is one (a server that systemd starts on demand listens only there).
    pub(super) fn system() -> Self {
        let sockets = ["/run/cups/cups.sock", "/var/run/cups/cups.sock", "/private/var/run/cupsd"];
        let found = sockets.into_iter().map(PathBuf::from).find(|path| cfg!(unix) && path.exists());
        found.map_or_else(|| Self::Tcp("localhost".into(), IPP_PORT), Self::Unix)
    }
}

impl fmt::Display for CupsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

impl FromStr for CupsServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        let wrong = || format!("`cups_server` `{text}` is neither host:port nor the path of a socket");
        let url = url::Url::parse(&format!("ipp://{text}")).map_err(|_| wrong())?;
        if !matches!(url.path(), "" | "/") || !url.username().is_empty() {
            return Err(wrong());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        Ok(Self::Tcp(host.trim_matches(['[', ']']).to_owned(), url.port().unwrap_or(IPP_PORT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_socket_or_a_host() {
        assert_eq!("/run/x.sock".parse(), Ok(CupsServer::Unix("/run/x.sock".into())));
        assert_eq!("localhost:8631".parse(), Ok(CupsServer::Tcp("localhost".into(), 8631)));
        let six: CupsServer = "[::1]:8631".parse().unwrap();
        assert_eq!(
            (six.to_string(), six.queue_uri("q")),
            ("[::1]:8631".into(), "ipp://[::1]:8631/printers/q".into())
        );
        for wrong in ["", "a b", "host/path"] {
            assert!(wrong.parse::<CupsServer>().is_err(), "{wrong}");
        }
    }
}
