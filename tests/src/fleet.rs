//! Agents by the thousand in one process: the real protocol over real TLS, without spool and printers.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use inkwire_protocol::ids::{AgentId, InstanceId, PrinterNumber, SessionToken, SpoolId};
use inkwire_protocol::message::{
    AGENT_PATH, AGENT_SUBPROTOCOL, DIAL_AUDIENCE, DialClaims, FromPairing, Hello, PAIR_PATH,
    PAIR_SUBPROTOCOL, ToAgent, ToBroker, ToPairing, Welcome, pairing_proof,
};
use inkwire_protocol::printer::{Backend, Capabilities, PrinterInfo, PrinterState};
use inkwire_transport::{
    BrokerUrl, ClockOffset, Dial, DialIo, Ready, Socket, SocketConfig, Trust, client_config, dial,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use uuid::Uuid;

/// How to reach the broker; shared by all agents of a fleet, so that their TLS sessions are resumed.
#[derive(Debug)]
pub struct Route {
    url: BrokerUrl,
    tls: Arc<rustls::ClientConfig>,
    clock: Arc<ClockOffset>,
}

/// One agent of the fleet.
#[derive(Debug)]
pub struct Member {
    id: AgentId,
    key: Vec<u8>,
    source: IpAddr,
    n: u64,
    instance: InstanceId,
    spool: SpoolId,
    session: Option<SessionToken>,
}

impl Route {
    /// To the broker of this URL, whose pin is trusted.
    pub fn to(url: &str) -> Self {
        let url: BrokerUrl = url.parse().expect("the broker's URL");
        let clock = Arc::new(ClockOffset::new());
        let tls = client_config(Trust::of(&url), Arc::clone(&clock)).expect("TLS can be set up");
        Self { url, tls, clock }
    }

    async fn dial(
        &self,
        source: IpAddr,
        path: &str,
        subprotocol: &str,
        headers: http::HeaderMap,
    ) -> Socket<DialIo> {
        let dial_one = Dial {
            url: &self.url,
            tls: Arc::clone(&self.tls),
            clock: &self.clock,
            path,
            subprotocol,
            headers,
            bind: Some(source),
            deadline: Duration::from_secs(60),
            socket: SocketConfig::AGENT,
        };
        dial(dial_one).await.expect("the broker takes the connection").socket
    }
}

/// One-use enrolment tokens, over the broker's admin socket.
pub async fn enrolments(data: &Path, count: usize) -> Vec<String> {
    let stream =
        tokio::net::UnixStream::connect(data.join("admin.sock")).await.expect("the admin socket answers");
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut tokens = Vec::with_capacity(count);
    for id in 0..count {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": "enrolment.create", "params": {}});
        write.write_all(format!("{request}\n").as_bytes()).await.expect("the admin socket takes a line");
        let line = lines.next_line().await.expect("the admin socket can be read").expect("it stays open");
        let answer: Value = serde_json::from_str(&line).expect("the answer is JSON");
        tokens.push(answer["result"]["token"].as_str().expect("the answer has the token").to_owned());
    }
    tokens
}

impl Member {
    /// Pairs member `number` by an enrolment token; it speaks from an address of its own in 127.0.0.0/8.
    pub async fn pair(route: &Route, number: u32, enrolment: String) -> Self {
        let [_, b, c, d] = (number + 1).to_be_bytes();
        let source = IpAddr::V4(Ipv4Addr::new(127, b + 1, c, d.max(1)));
        let key = Ed25519KeyPair::generate().expect("a key can be made");
        let public_key = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        let mut socket = route.dial(source, PAIR_PATH, PAIR_SUBPROTOCOL, http::HeaderMap::new()).await;
        let id = loop {
            match serde_json::from_str(&text(&mut socket).await).expect("the broker speaks the protocol") {
                FromPairing::Challenge { nonce } => {
                    let proof = key.sign(&pairing_proof(&nonce, &public_key));
                    let pair = ToPairing::Pair {
                        public_key: public_key.clone(),
                        proof: URL_SAFE_NO_PAD.encode(proof.as_ref()),
                        hostname: format!("fleet-{number}"),
                        os: "linux-x86_64".to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                        enrolment: Some(enrolment.clone()),
                    };
                    socket
                        .queue_text(serde_json::to_string(&pair).expect("plain JSON"))
                        .expect("room for one message");
                }
                FromPairing::Paired { agent, .. } => break agent,
                other => panic!("pairing said {other:?}"),
            }
        };
        let key = key.to_pkcs8().expect("the key can be written").as_ref().to_vec();
        Self {
            id,
            key,
            source,
            n: 0,
            instance: InstanceId::from_uuid(Uuid::now_v7()),
            spool: SpoolId::from_uuid(Uuid::now_v7()),
            session: None,
        }
    }

    /// Dials, says hello with two printers, and is welcome.
    pub async fn connect(&mut self, route: &Route) -> (Socket<DialIo>, Welcome) {
        let claims = self.claims(route);
        let token = self.sign(&claims);
        let mut headers = http::HeaderMap::new();
        headers
            .insert(http::header::AUTHORIZATION, format!("Bearer {token}").parse().expect("a header value"));
        let mut socket = route.dial(self.source, AGENT_PATH, AGENT_SUBPROTOCOL, headers).await;
        let hello = ToBroker::Hello(Box::new(self.hello()));
        socket.queue_text(serde_json::to_string(&hello).expect("plain JSON")).expect("room for one message");
        match serde_json::from_str(&text(&mut socket).await).expect("the broker speaks the protocol") {
            ToAgent::Welcome(welcome) => {
                self.session = Some(welcome.session.clone());
                (socket, *welcome)
            }
            other => panic!("hello was answered by {other:?}"),
        }
    }

    /// Its id at the broker.
    pub const fn id(&self) -> AgentId {
        self.id
    }

    /// The claims of its next dial.
    pub fn claims(&mut self, route: &Route) -> DialClaims {
        self.n += 1;
        let now = route.clock.now().as_secs();
        DialClaims {
            sub: self.id.to_string(),
            aud: DIAL_AUDIENCE.to_owned(),
            iat: now,
            exp: now + 60,
            n: self.n,
            th: self.session.as_ref().map(|token| token.digest().to_string()),
        }
    }

    /// A dial token of these claims, signed by its device key.
    pub fn sign(&self, claims: &DialClaims) -> String {
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        let key = jsonwebtoken::EncodingKey::from_ed_der(&self.key);
        jsonwebtoken::encode(&header, claims, &key).expect("the token can be signed")
    }

    /// Its device key's public half.
    pub fn public_key(&self) -> Vec<u8> {
        let pair = Ed25519KeyPair::from_pkcs8(&self.key).expect("the key can be read");
        pair.public_key().as_ref().to_vec()
    }

    /// The session token that it was given last.
    pub const fn session(&self) -> Option<&SessionToken> {
        self.session.as_ref()
    }

    /// The name of its first printer, which no other has.
    pub fn printer(&self) -> String {
        format!("labels-{}", self.id)
    }

    /// What it says first on a connection.
    pub fn hello(&self) -> Hello {
        serde_json::from_value(json!({
            "protocol": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "instance": self.instance,
            "spool": self.spool,
            "ledger_seq": 1,
            "facts_acked": 0,
            "session": self.session,
            "hostname": "fleet",
            "os": "linux-x86_64",
            "printers": [printer(1, &self.printer()), printer(2, "office")],
            "transfers": [],
        }))
        .expect("a hello")
    }
}

fn printer(number: u16, name: &str) -> PrinterInfo {
    PrinterInfo {
        number: PrinterNumber(number),
        name: name.to_owned(),
        backend: Backend::Socket,
        make_and_model: None,
        location: None,
        formats: vec!["application/octet-stream".to_owned()],
        state: PrinterState::Idle,
        state_reasons: Vec::new(),
        state_message: None,
        capabilities: Capabilities::default(),
        markers: Vec::new(),
        streams: true,
    }
}

async fn text(socket: &mut Socket<DialIo>) -> String {
    loop {
        match socket.ready(false).await {
            Ready::Text(text) => return text,
            Ready::Closed(closed) => panic!("the broker closed: {closed:?}"),
            Ready::Binary(_) | Ready::Pong { .. } | Ready::Writable => {}
        }
    }
}
