//! Printers that remember what they got.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inkwire_protocol::ids::Sha256Digest;

/// A raw printer on a port of its own: each connection is one job, closed by the printer after ours.
#[derive(Debug, Clone)]
pub struct Socket {
    address: SocketAddr,
    jobs: Arc<Mutex<Vec<Got>>>,
}

/// What came over one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// How many bytes.
    pub bytes: u64,
    /// Their digest.
    pub sha256: Sha256Digest,
    /// Whether the sender closed in order; otherwise it vanished in the middle.
    pub whole: bool,
}

impl Socket {
    /// Listens on a free port of 127.0.0.1, taking at most `bytes_per_read` every `pause` (none: as fast as it comes).
    pub fn listen(pace: Option<(usize, Duration)>) -> Self {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"), pace)
    }

    /// Listens on this very address: a printer that is switched on.
    pub fn at(address: SocketAddr) -> Self {
        Self::on(TcpListener::bind(address).expect("the port is free"), None)
    }

    fn on(listener: TcpListener, pace: Option<(usize, Duration)>) -> Self {
        let address = listener.local_addr().expect("a listener has an address");
        let jobs = Arc::new(Mutex::new(Vec::new()));
        let sink = Self { address, jobs: Arc::clone(&jobs) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let jobs = Arc::clone(&jobs);
                std::thread::spawn(move || {
                    let got = take(stream, pace);
                    // A probe of the port that says nothing is no job.
                    if got.bytes > 0 {
                        jobs.lock().expect("no panic holds it").push(got);
                    }
                });
            }
        });
        sink
    }

    /// The URI for the agent's configuration.
    pub fn uri(&self) -> String {
        format!("socket://{}", self.address)
    }

    /// Every job that came.
    pub fn got(&self) -> Vec<Got> {
        self.jobs.lock().expect("no panic holds it").clone()
    }

    /// How often these bytes came whole.
    pub fn count(&self, sha256: Sha256Digest) -> usize {
        self.got().iter().filter(|got| got.whole && got.sha256 == sha256).count()
    }
}

fn take(mut stream: TcpStream, pace: Option<(usize, Duration)>) -> Got {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; pace.map_or(64 * 1024, |(bytes, _)| bytes)];
    let mut bytes = 0;
    let whole = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(read) => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(_) => break false,
        }
        if let Some((_, pause)) = pace {
            std::thread::sleep(pause);
        }
    };
    Got { bytes, sha256: Sha256Digest::from_bytes(hasher.finalize().into()), whole }
}

/// How often these bytes stand in a folder that a `directory` printer fills (sidecars and temporary files do not count).
pub fn count_in(folder: &Path, sha256: Sha256Digest) -> usize {
    digests_in(folder).into_iter().filter(|found| *found == sha256).count()
}

/// The digests of all documents in such a folder.
pub fn digests_in(folder: &Path) -> Vec<Sha256Digest> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_document = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.is_file() && !name.starts_with('.') && !name.ends_with(".json") && !name.contains(".tmp")
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_document(path))
        .map(|path| Sha256Digest::of(&std::fs::read(path).expect("a document can be read")))
        .collect()
}
