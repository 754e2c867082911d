//! The physical limit for a large document: a relay that knows nothing but TLS, files and fdatasync. It stores leg one,
//! syncing each MiB, before leg two begins; the last of the chain only stores. Each is a process of its own, as broker and
//! agent are.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::ServerName;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeekExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::server::{Server, free_address};
use super::tls::Certificates;

/// So much is read, written and synced at a time.
const CHUNK_BYTES: usize = 1024 * 1024;
/// What is written to a TLS connection at a time: larger than a record, small enough to stay in the cache.
const PIECE_BYTES: usize = 64 * 1024;
/// A leg is stored.
const STORED: u8 = 1;

/// How `inkwire-bench` is told to be a relay.
#[derive(Debug, clap::Args)]
#[group(id = "relay-options")]
pub(crate) struct Options {
    /// Where to listen: be a relay, nothing else
    #[arg(long, hide = true)]
    pub(crate) relay: Option<SocketAddr>,
    /// The folder with certificates, and for the document
    #[arg(long, hide = true, requires = "relay")]
    relay_dir: Option<PathBuf>,
    /// Where leg two goes
    #[arg(long, hide = true, requires = "relay")]
    relay_to: Option<SocketAddr>,
}

/// A chain of two: relay and last.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    _processes: [Server; 2],
}

impl Relay {
    /// Starts both in this folder, which has the certificates.
    pub(crate) fn start(dir: &Path) -> Result<Self> {
        let (address, last) = (free_address()?, free_address()?);
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let start = |name: &str, listen: SocketAddr, to: Option<SocketAddr>| {
            let mut args = vec!["--relay".to_owned(), listen.to_string()];
            args.extend(["--relay-dir".to_owned(), dir.display().to_string()]);
            args.extend(to.into_iter().flat_map(|to| ["--relay-to".to_owned(), to.to_string()]));
            Server::start(&program, args, &dir.join(format!("{name}.log")), &[listen])
        };
        let second = start("last", last, None)?;
        let first = start("relay", address, Some(last))?;
        Ok(Self { address, _processes: [first, second] })
    }

    /// Sends a file; `stored` is called when leg one is. Returns when leg two is.
    pub(crate) async fn send(&self, path: &Path, tls: &Certificates, stored: impl FnOnce()) -> Result<()> {
        let mut file = File::open(path).await.with_context(|| path.display().to_string())?;
        let bytes = file.metadata().await.context("the document")?.len();
        let mut stream = connect(self.address, tls).await?;
        give(&mut file, bytes, &mut stream).await?;
        ensure!(stream.read_u8().await.context("the relay")? == STORED, "the relay stored nothing");
        stored();
        ensure!(stream.read_u8().await.context("the relay")? == STORED, "leg two failed");
        Ok(())
    }
}

/// Is a relay until it is ended.
pub(crate) async fn serve(options: &Options, listen: SocketAddr) -> Result<()> {
    let dir = options.relay_dir.as_deref().context("--relay-dir is missing")?;
    let tls = Arc::new(Certificates::read(dir)?);
    let listener = TcpListener::bind(listen).await.with_context(|| listen.to_string())?;
    let store = dir.join(format!("{}.part", listen.port()));
    loop {
        let (stream, _) = listener.accept().await.context("accept")?;
        // Whoever only looks whether somebody listens ends here, too; a document that fails is noticed by its sender.
        if let Err(error) = take(stream, &store, options.relay_to, &tls).await {
            eprintln!("relay: {error:#}");
        }
    }
}

async fn take(stream: TcpStream, store: &Path, to: Option<SocketAddr>, tls: &Certificates) -> Result<()> {
    stream.set_nodelay(true).context("a socket takes the option")?;
    let mut stream = TlsAcceptor::from(Arc::clone(&tls.server)).accept(stream).await.context("TLS")?;
    let bytes = stream.read_u64().await.context("the length")?;
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(store).await?;
    keep(&mut stream, bytes, &mut file).await?;
    stream.write_u8(STORED).await.context("the answer")?;
    stream.flush().await.context("the answer")?;
    if let Some(to) = to {
        file.rewind().await.context("the document")?;
        let mut next = connect(to, tls).await?;
        give(&mut file, bytes, &mut next).await?;
        ensure!(next.read_u8().await.context("the last")? == STORED, "the last stored nothing");
        stream.write_u8(STORED).await.context("the answer")?;
        stream.flush().await.context("the answer")?;
    }
    Ok(())
}

async fn connect(address: SocketAddr, tls: &Certificates) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.context("the relay takes no connection")?;
    stream.set_nodelay(true).context("a socket takes the option")?;
    let name = ServerName::try_from("localhost").context("a name")?;
    TlsConnector::from(Arc::clone(&tls.client)).connect(name, stream).await.context("TLS")
}

/// The length, then the bytes.
async fn give(file: &mut File, bytes: u64, stream: &mut (impl AsyncWrite + Unpin)) -> Result<()> {
    stream.write_u64(bytes).await.context("the length")?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = bytes;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        file.read_exact(&mut chunk[..len]).await.context("the document")?;
        for piece in chunk[..len].chunks(PIECE_BYTES) {
            stream.write_all(piece).await.context("the stream")?;
        }
        left -= len as u64;
    }
    stream.flush().await.context("the stream")
}

/// So many bytes into the file, synced each MiB.
async fn keep(stream: &mut (impl AsyncRead + Unpin), bytes: u64, file: &mut File) -> Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = bytes;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        stream.read_exact(&mut chunk[..len]).await.context("the stream")?;
        file.write_all(&chunk[..len]).await.context("the file")?;
        file.sync_data().await.context("fdatasync")?;
        left -= len as u64;
    }
    Ok(())
}
