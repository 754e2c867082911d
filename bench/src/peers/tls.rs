//! A certificate authority for the peers: the same kind of keys and certificates as our own broker makes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use inkwire_transport::{certs, provider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const CERTIFICATE: &str = "server.pem";
const KEY: &str = "server.key";

/// Files for a server, and what its clients trust.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) server: Arc<ServerConfig>,
}

impl Certificates {
    /// Makes them in this folder.
    pub(crate) fn make(dir: &Path) -> Result<Self> {
        let now = SystemTime::now();
        let ca = certs::make_ca("inkwire bench", now)?;
        let server = certs::issue_server(&["localhost".to_owned(), "127.0.0.1".to_owned()], &ca, now)?;
        std::fs::write(dir.join(CERTIFICATE), &server.certificate_pem).context("the certificate")?;
        std::fs::write(dir.join(KEY), server.key_pem.as_bytes()).context("the key")?;
        Self::read(dir)
    }

    /// Reads those that were made in this folder.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let (certificate, key) = (dir.join(CERTIFICATE), dir.join(KEY));
        let pem = std::fs::read_to_string(&certificate).context("the certificate")?;
        let chain = certs::chain_from_pem(&pem)?;
        let mut roots = RootCertStore::empty();
        // The chain ends with the authority.
        let authority = chain.last().context("the authority")?.clone();
        roots.add(authority).context("the authority")?;
        let server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(&key).context("the key")?)
            .context("the server's certificate")?;
        let client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { certificate, key, client: Arc::new(client), server: Arc::new(server) })
    }
}

/// A bare TLS connection on loopback that gives back what it gets.
#[derive(Debug)]
pub(crate) struct Echo {
    stream: TlsStream<TcpStream>,
}

impl Echo {
    /// Starts the other end and connects to it; both end with the runtime, or with this.
    pub(crate) async fn start(tls: &Certificates) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port is free")?;
        let address = listener.local_addr().context("a listener has an address")?;
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.server));
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (mut read, mut write) = tokio::io::split(acceptor.accept(stream).await?);
            tokio::io::copy(&mut read, &mut write).await
        });
        let stream = TcpStream::connect(address).await.context("loopback")?;
        stream.set_nodelay(true).context("a socket takes the option")?;
        let name = ServerName::try_from("localhost").context("a name")?;
        let connector = TlsConnector::from(Arc::clone(&tls.client));
        Ok(Self { stream: connector.connect(name, stream).await.context("TLS")? })
    }

    /// So many bytes there and back.
    pub(crate) async fn round_trip(&mut self, bytes: usize) -> Result<Duration> {
        let mut buffer = vec![7; bytes];
        let began = Instant::now();
        self.stream.write_all(&buffer).await.context("the echo")?;
        self.stream.flush().await.context("the echo")?;
        self.stream.read_exact(&mut buffer).await.context("the echo")?;
        Ok(began.elapsed())
    }
}
