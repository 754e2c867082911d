//! A peer made by hand: it writes HTTP and WebSocket frames byte by byte, so it can do what no library would let it.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use inkwire_protocol::ids::{PrinterNumber, TransferId};
use inkwire_protocol::packet::Header;
use inkwire_transport::{BrokerUrl, ClockOffset, Trust, client_config};
use serde_json::{Value, json};

/// Longest wait for the broker's next byte; more than its longest deadline for a peer (`hello`: 10 s).
const READ_WITHIN: Duration = Duration::from_secs(20);

/// One TLS connection that has become a WebSocket.
#[derive(Debug)]
pub struct Peer {
    stream: rustls::StreamOwned<rustls::ClientConnection, TcpStream>,
    calls: u64,
}

/// An upgrade that the broker did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// What came from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A text message.
    Text(String),
    /// A close frame.
    Close {
        /// Its code.
        code: u16,
        /// Its reason.
        reason: String,
    },
    /// The connection ended without a close frame.
    Lost,
}

impl Peer {
    /// Connects to the broker of this URL and asks for the upgrade.
    ///
    /// # Errors
    /// Where the answer is not 101.
    pub fn upgrade(
        url: &str,
        path: &str,
        subprotocol: &str,
        bearer: Option<&str>,
    ) -> Result<Self, Box<Refused>> {
        let mut peer = Self::open(url);
        let url: BrokerUrl = url.parse().expect("the broker's URL");
        let authority = url.authority();
        let authorization = bearer.map(|it| format!("Authorization: Bearer {it}\r\n")).unwrap_or_default();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: {subprotocol}\r\n{authorization}\r\n"
        );
        peer.raw(request.as_bytes());
        peer.answer().map_or(Ok(peer), Err)
    }

    /// A TLS connection, nothing said yet.
    pub fn open(url: &str) -> Self {
        Self::try_open(url, None).expect("the broker shakes hands")
    }

    /// The same from an address of the caller's choice.
    ///
    /// # Errors
    /// Where the broker does not shake hands.
    pub fn try_open(url: &str, from: Option<IpAddr>) -> io::Result<Self> {
        let url: BrokerUrl = url.parse().expect("the broker's URL");
        let tls = client_config(Trust::of(&url), Arc::new(ClockOffset::new())).expect("TLS can be set up");
        let name = url.host().try_into().expect("a server name");
        let to = (url.host(), url.port()).to_socket_addrs()?.next().expect("an address");
        let mut tcp = match from {
            Some(from) => dial_from(to, from)?,
            None => TcpStream::connect(to)?,
        };
        tcp.set_read_timeout(Some(READ_WITHIN))?;
        tcp.set_nodelay(true)?;
        let mut session = rustls::ClientConnection::new(tls, name).expect("a TLS session");
        while session.is_handshaking() {
            session.complete_io(&mut tcp)?;
        }
        Ok(Self { stream: rustls::StreamOwned::new(session, tcp), calls: 0 })
    }

    /// From now on the broker has so long to take what is sent.
    pub fn give_up_after(&mut self, within: Duration) {
        self.stream.sock.set_write_timeout(Some(within)).expect("a socket takes a timeout");
    }

    /// Sends bytes as they are, then looks for a moment whether the broker has ended the connection.
    ///
    /// # Errors
    /// Where it has, or takes nothing.
    pub fn try_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()?;
        if bytes.len() > 1 {
            return Ok(());
        }
        self.stream.sock.set_read_timeout(Some(Duration::from_millis(200)))?;
        match self.stream.read(&mut [0; 16 * 1024]) {
            // The broker says why with its last words.
            Ok(_) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(error) if [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut].contains(&error.kind()) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the head of the answer, and the body where it is a refusal.
    fn answer(&mut self) -> Option<Box<Refused>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.exactly(1).expect("the broker answers the upgrade")[0]);
        }
        let head = String::from_utf8(head).expect("a head is text").to_ascii_lowercase();
        let status: u16 = head[9..12].parse().expect("a status");
        if status == 101 {
            return None;
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |text| text.trim().parse().expect("a length"));
        let body = self.exactly(length).expect("the body comes");
        Some(Box::new(Refused { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }))
    }

    /// Sends bytes as they are. An error is not one here: the broker may have closed already, and says why.
    pub fn raw(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes).and_then(|()| self.stream.flush()) {
            println!("the broker takes no more: {error}");
        }
    }

    /// Whatever comes until the end.
    pub fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut bytes) {
            println!("the broker ended without a word: {error}");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a text message.
    pub fn text(&mut self, text: &str) {
        self.raw(&frame(1, text.as_bytes()));
    }

    /// Sends a binary message.
    pub fn binary(&mut self, bytes: &[u8]) {
        self.raw(&frame(2, bytes));
    }

    /// The next message or the end. Pings are answered on the way.
    pub fn hear(&mut self) -> Heard {
        let mut begun: Option<(u8, Vec<u8>)> = None;
        loop {
            let Some(head) = self.exactly(2) else { return Heard::Lost };
            let length = match head[1] & 0x7f {
                126 => {
                    self.exactly(2).map(|it| u64::from(u16::from_be_bytes(it.try_into().expect("2 bytes"))))
                }
                127 => self.exactly(8).map(|it| u64::from_be_bytes(it.try_into().expect("8 bytes"))),
                short => Some(u64::from(short)),
            };
            let Some(payload) = length.and_then(|length| self.exactly(length as usize)) else {
                return Heard::Lost;
            };
            let (last, opcode) = (head[0] & 0x80 != 0, head[0] & 0x0f);
            // Control frames may stand between the frames of a message (RFC 6455 section 5.4).
            let (opcode, payload) = match (opcode, begun.take()) {
                (8.., before) => {
                    begun = before;
                    (opcode, payload)
                }
                (0, Some((of, mut all))) => {
                    all.extend(payload);
                    (of, all)
                }
                (opcode, _) => (opcode, payload),
            };
            if !last {
                begun = Some((opcode, payload));
                continue;
            }
            match opcode {
                1 => return Heard::Text(String::from_utf8(payload).expect("text is UTF-8")),
                8 => {
                    let (code, reason) = payload.split_at(payload.len().min(2));
                    let code = code.try_into().map_or(1005, u16::from_be_bytes);
                    return Heard::Close { code, reason: String::from_utf8_lossy(reason).into_owned() };
                }
                9 => self.raw(&frame(10, &payload)),
                _ => {}
            }
        }
    }

    /// Skips messages until the broker closes; gives its code and reason.
    pub fn closed(&mut self) -> (u16, String) {
        loop {
            match self.hear() {
                Heard::Text(_) => {}
                Heard::Close { code, reason } => return (code, reason),
                Heard::Lost => return (1006, String::new()),
            }
        }
    }

    /// Calls a method of the app API. `Err` is the problem.
    ///
    /// # Errors
    /// Where the answer is an error.
    pub fn call(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        self.calls += 1;
        let id = self.calls;
        self.text(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        loop {
            let Heard::Text(text) = self.hear() else { panic!("the broker did not answer {method}") };
            let mut answer: Value = serde_json::from_str(&text).expect("the broker sends JSON");
            if answer["id"] == json!(id) {
                return match answer["error"].take() {
                    Value::Null => Ok(answer["result"].take()),
                    mut error => Err(error["data"].take()),
                };
            }
        }
    }

    /// Waits for a notification of this method.
    pub fn notified(&mut self, method: &str) -> Value {
        loop {
            let Heard::Text(text) = self.hear() else { panic!("the broker did not say {method}") };
            let mut said: Value = serde_json::from_str(&text).expect("the broker sends JSON");
            if said["method"] == json!(method) {
                return said["params"].take();
            }
        }
    }

    fn exactly(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        self.stream.read_exact(&mut buffer).ok().map(|()| buffer)
    }
}

/// A TCP connection from an address of this machine's own, such as any of 127.0.0.0/8.
///
/// # Errors
/// Where it cannot be made.
pub fn dial_from(to: SocketAddr, from: IpAddr) -> io::Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::new(from, 0))?;
    connect(&socket, &to)?;
    Ok(socket.into())
}

/// A whole frame as a client sends it (RFC 6455 section 5.2), masked with zeros.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = frame_head(opcode, payload.len() as u64);
    out.extend_from_slice(payload);
    out
}

/// The head of a frame that announces so many bytes.
pub fn frame_head(opcode: u8, bytes: u64) -> Vec<u8> {
    let mut out = vec![0x80 | opcode];
    match (u8::try_from(bytes), u16::try_from(bytes)) {
        (Ok(short), _) if short < 126 => out.push(0x80 | short),
        (_, Ok(middle)) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&bytes.to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out
}

/// A packet of an upload.
pub fn packet(transfer: u32, seq: u32, last: bool, data: &[u8]) -> Vec<u8> {
    let mut out = Header::over(TransferId(transfer), PrinterNumber(0), seq, last, data).encode().to_vec();
    out.extend_from_slice(data);
    out
}
