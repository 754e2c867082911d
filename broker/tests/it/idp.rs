//! Another issuer's server, which publishes its keys at a URL and does as the test says.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use inkwire_transport::ServerTls;
use inkwire_transport::certs::{issue_server, make_ca};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::lab::LONG;

/// What it answers.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    /// 200 with this body.
    Body(String),
    Status(&'static str),
    Redirect(String),
    /// A body that never ends, as fast as it is taken.
    Endless,
    /// A body that comes byte by byte and never ends.
    Trickle,
    /// The same, but not before [`Idp::release`].
    Held(Box<Says>),
}

#[derive(Debug, Clone)]
struct Shared {
    says: Arc<Mutex<Says>>,
    asked: Arc<watch::Sender<usize>>,
    released: Arc<Notify>,
}

pub(crate) struct Idp {
    address: SocketAddr,
    /// With TLS: the authority of its certificate, in a folder of its own.
    authority: Option<(TempDir, PathBuf)>,
    shared: Shared,
    serving: JoinHandle<()>,
}

impl Idp {
    pub(crate) async fn http(says: Says) -> Self {
        Self::start(None, says).await
    }

    /// With a certificate for these names, of an authority of its own.
    pub(crate) async fn https(names: &[&str], says: Says) -> Self {
        Self::start(Some(names), says).await
    }

    async fn start(names: Option<&[&str]>, says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, released) = (Arc::new(watch::Sender::new(0)), Arc::default());
        let shared = Shared { says: Arc::new(Mutex::new(says)), asked, released };
        let tls = names.map(|names| {
            let now = SystemTime::now();
            let ca = make_ca("an authority of its own", now).unwrap();
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let issued = issue_server(&names, &ca, now).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("ca.pem");
            std::fs::write(&file, &ca.certificate_pem).unwrap();
            (TlsAcceptor::from(ServerTls::from_issued(&issued).unwrap().config()), (folder, file))
        });
        let (acceptor, authority) = tls.unzip();
        let serving = tokio::spawn(serve(listener, acceptor, shared.clone()));
        Self { address, authority, shared, serving }
    }

    pub(crate) fn url(&self) -> String {
        match self.authority {
            Some(_) => format!("https://localhost:{}/jwks", self.address.port()),
            None => format!("http://{}/jwks", self.address),
        }
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.authority.as_ref().unwrap().1.clone()
    }

    pub(crate) fn say(&self, says: Says) {
        *self.shared.says.lock().unwrap() = says;
    }

    /// How many requests have come.
    pub(crate) fn asked(&self) -> usize {
        *self.shared.asked.borrow()
    }

    /// Waits until so many have.
    pub(crate) async fn wait(&self, count: usize) {
        let mut asked = self.shared.asked.subscribe();
        tokio::time::timeout(LONG, asked.wait_for(|asked| *asked >= count)).await.unwrap().unwrap();
    }

    /// Answers the request that is held.
    pub(crate) fn release(&self) {
        self.shared.released.notify_one();
    }

    /// Nobody listens any more.
    pub(crate) async fn leave(&mut self) {
        self.serving.abort();
        assert!((&mut self.serving).await.unwrap_err().is_cancelled());
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Shared) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), shared.clone());
        tokio::spawn(async move {
            match tls {
                // Who does not trust it goes away.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        answer(stream, shared).await;
                    }
                }
                None => answer(stream, shared).await,
            }
        });
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: Shared) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let says = shared.says.lock().unwrap().clone();
    shared.asked.send_modify(|asked| *asked += 1);
    let says = match says {
        Says::Held(says) => {
            shared.released.notified().await;
            *says
        }
        says => says,
    };
    // The broker may have heard enough at any time.
    drop(write(&mut stream, says).await);
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), says: Says) -> std::io::Result<()> {
    let head = |status: &str, more: &str| format!("HTTP/1.1 {status}\r\nconnection: close\r\n{more}\r\n");
    match says {
        Says::Body(body) => {
            let length = format!("content-length: {}\r\n", body.len());
            stream.write_all(format!("{}{body}", head("200 OK", &length)).as_bytes()).await?;
        }
        Says::Status(status) => {
            stream.write_all(head(status, "content-length: 0\r\n").as_bytes()).await?;
        }
        Says::Redirect(to) => {
            let more = format!("location: {to}\r\ncontent-length: 0\r\n");
            stream.write_all(head("302 Found", &more).as_bytes()).await?;
        }
        Says::Endless | Says::Trickle => {
            stream.write_all(head("200 OK", "").as_bytes()).await?;
            let trickle = matches!(says, Says::Trickle);
            let some = vec![b' '; 16 * 1024];
            loop {
                stream.write_all(if trickle { &some[..1] } else { &some }).await?;
                stream.flush().await?;
                if trickle {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
        Says::Held(_) => {}
    }
    stream.flush().await?;
    stream.shutdown().await
}
