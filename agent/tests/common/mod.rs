//! A broker's end that says what a test wants it to say, over real TLS, and a printer that does what a test wants.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests: a failure here is a failure of the test"
)]

pub mod printer;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use inkwire_agent::{Agent, Config, Extras, PairRequest};
use inkwire_protocol::ids::*;
use inkwire_protocol::message::*;
use inkwire_protocol::packet::Header;
use inkwire_protocol::transfer::Layout;
use inkwire_transport::certs::{issue_server, make_ca};
use inkwire_transport::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

type Io = TlsStream<Metered<TcpStream>>;
/// Nothing that a test waits for takes longer, unless something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A broker's end.
pub struct Broker {
    pub url: BrokerUrl,
    pub connections: mpsc::Receiver<Conn>,
    /// Bodies of 401s that the next dials get.
    pub refusals: Arc<Mutex<Vec<String>>>,
    pub store_epoch: StoreEpoch,
    pub spool_lost: bool,
    /// Authorization headers of refused dials.
    pub refused: Arc<Mutex<Vec<String>>>,
}

/// One connection of an agent.
pub struct Conn {
    pub socket: Socket<Io>,
    pub authorization: String,
    pub path: String,
    next_transfer: u32,
    pub facts: u64,
    /// Facts that came while something else was waited for.
    early: std::collections::VecDeque<FactMessage>,
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

impl Broker {
    pub async fn start() -> Self {
        let ca = make_ca("Inkwire test", SystemTime::now()).unwrap();
        let issued = issue_server(&["127.0.0.1".to_owned()], &ca, SystemTime::now()).unwrap();
        let tls = Arc::new(ServerTls::from_issued(&issued).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = BrokerUrl::new("127.0.0.1", port, Some(tls.pin())).unwrap();
        let (sender, connections) = mpsc::channel(64);
        let refusals = Arc::new(Mutex::new(Vec::<String>::new()));
        let refused = Arc::new(Mutex::new(Vec::new()));
        let (to_refuse, were_refused) = (Arc::clone(&refusals), Arc::clone(&refused));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (tls, sender) = (Arc::clone(&tls), sender.clone());
                let (to_refuse, were_refused) = (Arc::clone(&to_refuse), Arc::clone(&were_refused));
                tokio::spawn(async move {
                    if let Some(conn) = accept_one(tcp, &tls, &to_refuse, &were_refused).await {
                        let _gone_with_the_test = sender.send(conn).await;
                    }
                });
            }
        });
        let store_epoch = StoreEpoch::from_uuid(uuid::Uuid::from_u128(77));
        Self { url, connections, refusals, store_epoch, spool_lost: false, refused }
    }

    /// The next connection, as it is.
    pub async fn connection(&mut self) -> Conn {
        tokio::time::timeout(PATIENCE, self.connections.recv()).await.expect("nobody dialled").unwrap()
    }

    /// The next session: `hello` taken, `welcome` said.
    pub async fn session(&mut self) -> (Conn, Hello) {
        let mut conn = self.connection().await;
        let hello = match conn.hear().await {
            ToBroker::Hello(hello) => *hello,
            other => panic!("not hello: {other:?}"),
        };
        conn.say(&ToAgent::Welcome(Box::new(Welcome {
            protocol: 1,
            version: "test".into(),
            session: SessionToken::from_bytes([9; 32]),
            resumed: hello.session.is_some(),
            epoch: Epoch(1),
            store_epoch: self.store_epoch,
            spool_lost: self.spool_lost,
            observed_endpoint: "192.0.2.1:9".parse().unwrap(),
            report_interval_ms: 25_000,
            broker_time_ms: now_ms(),
            agent_name: "test".into(),
        })));
        (conn, hello)
    }

    /// Pairs a state directory.
    pub async fn pair(&mut self, state_dir: &Path) {
        let request = PairRequest { url: self.url.clone(), state_dir: state_dir.into(), enrolment: None };
        let (paired, ()) = tokio::join!(inkwire_agent::pair(request, |_| {}), async {
            let mut conn = self.connection().await;
            assert_eq!(conn.path, PAIR_PATH);
            conn.say_text(&FromPairing::Challenge { nonce: "bm9uY2U".into() });
            conn.hear_text().await;
            conn.say_text(&FromPairing::Paired {
                agent: AgentId::from_uuid(uuid::Uuid::from_u128(42)),
                agent_name: "test".into(),
                account_name: "default".into(),
                broker_time_ms: now_ms(),
            });
            conn.gone().await;
        });
        paired.unwrap();
    }
}

async fn accept_one(
    tcp: TcpStream,
    tls: &ServerTls,
    refusals: &Mutex<Vec<String>>,
    refused: &Mutex<Vec<String>>,
) -> Option<Conn> {
    set_socket_options(&tcp).unwrap();
    let metered = Metered::new(tcp);
    let meter = metered.meter();
    let mut io = TlsAcceptor::from(tls.config()).accept(metered).await.ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let refusal = refusals.lock().unwrap().pop();
    if let Some(body) = refusal {
        refused.lock().unwrap().push(header("authorization"));
        let answer = format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        io.write_all(answer.as_bytes()).await.ok()?;
        io.shutdown().await.ok()?;
        return None;
    }
    let key =
        tokio_tungstenite::tungstenite::handshake::derive_accept_key(header("sec-websocket-key").as_bytes());
    let protocol = header("sec-websocket-protocol");
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {key}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    );
    io.write_all(answer.as_bytes()).await.ok()?;
    io.flush().await.ok()?;
    let socket = accept(io, Bytes::new(), meter, SocketConfig::AGENT).await;
    Some(Conn {
        socket,
        authorization: header("authorization"),
        path,
        next_transfer: 1,
        facts: 0,
        early: Default::default(),
    })
}

impl Conn {
    pub fn say_text(&mut self, message: &impl serde::Serialize) {
        self.socket.queue_text(serde_json::to_string(message).unwrap()).unwrap();
    }

    pub fn say(&mut self, message: &ToAgent) {
        self.say_text(message);
    }

    pub async fn hear_text(&mut self) -> String {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.ready(false)).await.expect("nothing was said") {
                Ready::Text(text) => return text,
                Ready::Closed(closed) => panic!("closed: {closed}"),
                Ready::Binary(_) | Ready::Pong { .. } | Ready::Writable => {}
            }
        }
    }

    /// The next message but reports, which are answered, and progress.
    pub async fn hear(&mut self) -> ToBroker {
        loop {
            let text = self.hear_text().await;
            match serde_json::from_str(&text).unwrap() {
                ToBroker::Report(report) => self.say(&ToAgent::ReportOk(ReportOk {
                    seq: report.seq,
                    broker_time_ms: now_ms(),
                    report_interval_ms: None,
                })),
                ToBroker::Progress { .. } => {}
                message => return message,
            }
        }
    }

    /// Waits for the end of the connection.
    pub async fn gone(&mut self) -> Closed {
        loop {
            let ready = tokio::time::timeout(PATIENCE, self.socket.ready(false)).await;
            if let Ready::Closed(closed) = ready.expect("the connection did not end") {
                return closed;
            }
        }
    }

    /// The next fact, acknowledged; everything before it but acks and `reconciled` is a surprise.
    pub async fn fact(&mut self) -> FactMessage {
        if let Some(fact) = self.early.pop_front() {
            self.ack_fact(&fact);
            return fact;
        }
        loop {
            match self.hear().await {
                ToBroker::Fact(fact) => {
                    self.ack_fact(&fact);
                    return fact;
                }
                ToBroker::Ack(_) | ToBroker::Reconciled { .. } => {}
                other => panic!("not a fact: {other:?}"),
            }
        }
    }

    pub fn ack_fact(&mut self, fact: &FactMessage) {
        self.facts += 1;
        self.say(&ToAgent::FactAck {
            job: fact.job,
            attempt: fact.attempt,
            fact_seq: fact.fact_seq,
            facts_acked: self.facts,
            receipt: None,
        });
    }

    /// Facts until one that ends the job, which it returns.
    pub async fn outcome(&mut self) -> Fact {
        loop {
            let fact = self.fact().await.fact;
            match fact {
                Fact::Spooled | Fact::Printing | Fact::Stopped { .. } | Fact::Held => {}
                Fact::Corrupt { .. }
                | Fact::Completed { .. }
                | Fact::Canceled
                | Fact::Aborted { .. }
                | Fact::Expired
                | Fact::Uncertain { .. } => return fact,
            }
        }
    }

    /// Opens a transfer; returns its channel.
    pub fn open(&mut self, open: Open) -> TransferId {
        let transfer = TransferId(self.next_transfer);
        self.next_transfer += 1;
        self.say(&ToAgent::Open(Box::new(Open { transfer, ..open })));
        transfer
    }

    /// Sends packets, keeping the socket moving; what is heard meanwhile comes back.
    pub async fn send(
        &mut self,
        transfer: TransferId,
        document: &[u8],
        packet_bytes: u32,
        seqs: std::ops::Range<u32>,
    ) {
        let layout = Layout::new(document.len() as u64, packet_bytes).unwrap();
        for seq in seqs {
            let slice = layout.slice(seq).unwrap();
            let data = &document[slice.offset as usize..][..slice.len as usize];
            let header = Header::over(transfer, PrinterNumber(1), seq, slice.last, data);
            self.socket.queue_packet(&header, data).unwrap();
            self.socket.flush().await.unwrap();
        }
    }

    /// Waits until everything below `next_seq` is acknowledged; returns the last ack.
    pub async fn acked(&mut self, next_seq: u32) -> Ack {
        loop {
            match self.hear().await {
                ToBroker::Ack(ack) if ack.next_seq >= next_seq => return ack,
                ToBroker::Fact(fact) => self.early.push_back(fact),
                ToBroker::Ack(_) | ToBroker::Reconciled { .. } => {}
                other => panic!("not an ack: {other:?}"),
            }
        }
    }

    /// Opens and sends a whole small document.
    pub async fn label(&mut self, open: Open, document: &[u8]) -> TransferId {
        let packet_bytes = open.packet_bytes;
        let transfer = self.open(open);
        self.send(transfer, document, packet_bytes, 0..1).await;
        transfer
    }
}

/// The `open` of a job for printer 1.
pub fn open(job: u128, document: &[u8]) -> Open {
    Open {
        transfer: TransferId(0),
        job: JobId::from_uuid(uuid::Uuid::from_u128(job)),
        attempt: Attempt(1),
        printer: PrinterNumber(1),
        bytes: document.len() as u64,
        packet_bytes: 16_000,
        next_seq: 0,
        sha256: Sha256Digest::of(document),
        format: "application/octet-stream".into(),
        title: "test".into(),
        delivery: Default::default(),
        qty: 1,
        options: Default::default(),
        priority: 50,
        accepted_ms: now_ms(),
        expires_ms: None,
        pacing_bytes_s: None,
    }
}

pub fn poster(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 31 % 251) as u8).collect()
}

pub fn config(state_dir: &Path) -> Config {
    let raw = inkwire_agent::RawConfig {
        state_dir: Some(state_dir.into()),
        discover_cups: Some(false),
        ..Default::default()
    };
    raw.check().unwrap()
}

/// Starts an agent with one printer.
pub async fn agent(state_dir: &Path, printer: &Arc<printer::Printer>) -> (Agent, CancellationToken) {
    agent_with(config(state_dir), printer, 0).await
}

pub async fn agent_with(
    config: Config,
    printer: &Arc<printer::Printer>,
    clock_skew_ms: i64,
) -> (Agent, CancellationToken) {
    let stop = CancellationToken::new();
    let printer: Arc<dyn inkwire_agent::printers::Backend> = Arc::clone(printer) as _;
    let extras = Extras { printers: vec![("p".into(), printer)], clock_skew_ms };
    (Agent::start_with(config, extras, stop.clone()).await.unwrap(), stop)
}
