//! The certificate that the port shows: made by ourselves at the first start, or the operator's own. Read again when its
//! files change; ours is renewed before it expires, by the same authority, so that pins hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use inkwire_service::fsio::{WriteError, create_dir_durable, write_durable};
use inkwire_transport::certs::{self, CertsError, Issued, issue_server, make_ca};
use inkwire_transport::{ServerTls, ServerTlsError, TlsFiles};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::config::RawTls;
use crate::limits::{CERTIFICATE_POLL, RENEW_BEFORE};

/// A certificate that cannot be made, read or kept.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Making or understanding it.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// Using it.
    #[error(transparent)]
    Tls(#[from] ServerTlsError),
    /// Keeping it.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Reading it.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Where a certificate comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// Ours: made in this folder for these names.
    Own { folder: PathBuf, names: Vec<String> },
    /// The operator's.
    Given(RawTls),
}

impl Origin {
    fn files(&self) -> TlsFiles {
        match self {
            Self::Own { folder, .. } => TlsFiles {
                certificate: folder.join("server.pem"),
                key: folder.join("server.key"),
                authority: Some(folder.join("ca.pem")),
            },
            Self::Given(given) => {
                TlsFiles { certificate: given.certificate.clone(), key: given.key.clone(), authority: None }
            }
        }
    }

    /// When the files were written last; a file that is away just now counts as unchanged.
    fn stamp(&self) -> Vec<Option<SystemTime>> {
        let files = self.files();
        let modified = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
        vec![modified(&files.certificate), modified(&files.key)]
    }
}

/// Makes what is missing, and loads it. Blocks.
pub(crate) fn load(origin: &Origin) -> Result<ServerTls, CertificateError> {
    if let Origin::Own { folder, names } = origin {
        create_dir_durable(folder, 0o700)?;
        let authority = own_authority(folder)?;
        if wants_renewal(&folder.join("server.pem"), names)? {
            renew(folder, names, &authority)?;
        }
    }
    Ok(ServerTls::load(origin.files())?)
}

/// Looks at the files every few seconds: reloads what changed, renews what is ours and near its end. Runs until `stop`.
pub(crate) async fn watch(tls: Arc<ServerTls>, origin: Origin, stop: CancellationToken) {
    let mut seen = origin.stamp();
    let origin = Arc::new(origin);
    while stop.run_until_cancelled(tokio::time::sleep(CERTIFICATE_POLL)).await.is_some() {
        let (tls, origin) = (tls.clone(), origin.clone());
        let before = seen.clone();
        let looked = tokio::task::spawn_blocking(move || look(&tls, &origin, &before)).await;
        match looked {
            Ok((stamp, Ok(true))) => {
                tracing::info!("the certificate was read again");
                seen = stamp;
            }
            Ok((stamp, Ok(false))) => seen = stamp,
            Ok((stamp, Err(error))) => {
                if stamp != seen {
                    tracing::error!(%error, "the changed certificate cannot be used: the one before stays in use");
                }
                seen = stamp;
            }
            Err(error) => tracing::error!(%error, "the certificate could not be looked at"),
        }
    }
}

type Looked = (Vec<Option<SystemTime>>, Result<bool, CertificateError>);

fn look(tls: &ServerTls, origin: &Origin, before: &[Option<SystemTime>]) -> Looked {
    let renewed = match origin {
        Origin::Own { folder, names } if tls.expires_within(RENEW_BEFORE, SystemTime::now()) => {
            own_authority(folder).and_then(|authority| renew(folder, names, &authority))
        }
        Origin::Own { .. } | Origin::Given(_) => Ok(()),
    };
    let stamp = origin.stamp();
    let result = match renewed {
        Ok(()) if stamp == before => Ok(false),
        Ok(()) => tls.reload().map_err(CertificateError::from),
        Err(error) => Err(error),
    };
    (stamp, result)
}

/// Our authority; made where there is none. Its key never leaves the folder.
fn own_authority(folder: &Path) -> Result<Issued, CertificateError> {
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
    if certificate.exists() && key.exists() {
        return Ok(Issued { certificate_pem: read(&certificate)?, key_pem: Zeroizing::new(read(&key)?) });
    }
    let made = make_ca("Inkwire broker authority", SystemTime::now())?;
    // The key first: a certificate without its key would be taken for a finished pair.
    write_durable(&key, made.key_pem.as_bytes(), 0o600)?;
    write_durable(&certificate, made.certificate_pem.as_bytes(), 0o644)?;
    Ok(made)
}

fn wants_renewal(certificate: &Path, names: &[String]) -> Result<bool, CertificateError> {
    if !certificate.exists() {
        return Ok(true);
    }
    let pem = read(certificate)?;
    Ok(certs::expires_within(&pem, RENEW_BEFORE, SystemTime::now())? || !certs::covers(&pem, names)?)
}

fn renew(folder: &Path, names: &[String], authority: &Issued) -> Result<(), CertificateError> {
    let made = issue_server(names, authority, SystemTime::now())?;
    write_durable(&folder.join("server.key"), made.key_pem.as_bytes(), 0o600)?;
    write_durable(&folder.join("server.pem"), made.certificate_pem.as_bytes(), 0o644)?;
    tracing::info!(names = names.join(" "), "made a server certificate");
    Ok(())
}

fn read(path: &Path) -> Result<String, CertificateError> {
    std::fs::read_to_string(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(folder: &Path, names: &[&str]) -> Origin {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Origin::Own { folder: folder.join("certs"), names }
    }

    #[test]
    fn a_new_name_makes_a_new_certificate_of_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        let pem = || std::fs::read_to_string(folder.path().join("certs/server.pem")).unwrap();
        let first = load(&own(folder.path(), &["localhost"])).unwrap();
        let before = pem();
        let again = load(&own(folder.path(), &["localhost"])).unwrap();
        assert_eq!((pem(), again.pin()), (before.clone(), first.pin()));
        let more = load(&own(folder.path(), &["localhost", "127.0.0.1"])).unwrap();
        assert!(pem() != before && more.pin() == first.pin());
    }

    #[test]
    fn changed_files_are_read_again_and_broken_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let origin = own(folder.path(), &["localhost"]);
        let tls = load(&origin).unwrap();
        let stamp = origin.stamp();
        assert!(matches!(look(&tls, &origin, &stamp), (_, Ok(false))));
        let authority = own_authority(&folder.path().join("certs")).unwrap();
        renew(&folder.path().join("certs"), &["other".to_owned()], &authority).unwrap();
        assert!(matches!(look(&tls, &origin, &[None, None]), (_, Ok(true))));
        std::fs::write(folder.path().join("certs/server.pem"), "no certificate").unwrap();
        assert!(look(&tls, &origin, &[None, None]).1.is_err());
    }
}
