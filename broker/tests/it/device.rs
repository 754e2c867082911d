//! An agent that the tests drive by hand.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use inkwire_protocol::ids::{AgentId, InstanceId, SessionToken, SpoolId};
use inkwire_protocol::limits::PROTOCOL_VERSION;
use inkwire_protocol::message::{
    AGENT_PATH, AGENT_SUBPROTOCOL, DIAL_AUDIENCE, DialClaims, DialRefused, FromPairing, Hello, PAIR_PATH,
    PAIR_SUBPROTOCOL, ToAgent, ToBroker, ToPairing, Welcome, pairing_proof,
};
use inkwire_protocol::printer::PrinterInfo;
use inkwire_transport::{Closed, DialError, DialIo, Ready, Socket};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use uuid::Uuid;

use crate::lab::{LONG, Lab};

/// A PC with an agent's identity.
pub(crate) struct Device {
    pair: Ed25519KeyPair,
    pub(crate) id: AgentId,
    pub(crate) n: u64,
    pub(crate) instance: InstanceId,
    pub(crate) spool: SpoolId,
    pub(crate) token: Option<SessionToken>,
    pub(crate) printers: Vec<PrinterInfo>,
    pub(crate) headers: HeaderMap,
}

/// A WebSocket that speaks in messages.
pub(crate) struct Link(pub(crate) Socket<DialIo>);

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn printer(number: u16, name: &str) -> PrinterInfo {
    let info = json!({"number": number, "name": name, "backend": "socket", "formats": ["text/plain", "application/pdf"]});
    serde_json::from_value(info).unwrap()
}

impl Device {
    /// A key that nobody knows.
    pub(crate) fn stranger() -> Self {
        Self {
            pair: Ed25519KeyPair::generate().unwrap(),
            id: AgentId::from_uuid(Uuid::now_v7()),
            n: 0,
            instance: InstanceId::from_uuid(Uuid::new_v4()),
            spool: SpoolId::from_uuid(Uuid::new_v4()),
            token: None,
            printers: vec![printer(1, "office"), printer(2, "labels")],
            headers: HeaderMap::new(),
        }
    }

    /// A PC that was enrolled.
    pub(crate) async fn enrolled(lab: &Lab) -> Self {
        Self::enrolled_in(lab, "default").await
    }

    /// A PC that was enrolled in this account.
    pub(crate) async fn enrolled_in(lab: &Lab, account: &str) -> Self {
        let token = lab.admin("enrolment.create", json!({ "account": account })).await;
        let token = token["token"].as_str().unwrap().to_owned();
        let mut device = Self::stranger();
        let (mut link, answer) = device.pair(lab, Some(&token)).await;
        let FromPairing::Paired { agent, .. } = answer else { panic!("{answer:?}") };
        device.id = agent;
        link.closed().await;
        device
    }

    /// Asks to be paired; gives the first answer after the challenge.
    pub(crate) async fn pair(&self, lab: &Lab, enrolment: Option<&str>) -> (Link, FromPairing) {
        let dialled = lab.dial(PAIR_PATH, PAIR_SUBPROTOCOL, self.headers.clone()).await.unwrap();
        let mut link = Link(dialled.socket);
        let FromPairing::Challenge { nonce } = link.receive().await else { panic!("no challenge") };
        link.say(&self.request(&nonce, enrolment));
        let answer = link.receive().await;
        (link, answer)
    }

    pub(crate) fn request(&self, nonce: &str, enrolment: Option<&str>) -> ToPairing {
        let public_key = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        let proof = URL_SAFE_NO_PAD.encode(self.pair.sign(&pairing_proof(nonce, &public_key)).as_ref());
        ToPairing::Pair {
            public_key,
            proof,
            hostname: "till-1".into(),
            os: "linux-x86_64".into(),
            version: "0.1.0".into(),
            enrolment: enrolment.map(str::to_owned),
        }
    }

    /// The claims of the next dial.
    pub(crate) fn claims(&mut self) -> DialClaims {
        self.n += 1;
        DialClaims {
            sub: self.id.to_string(),
            aud: DIAL_AUDIENCE.into(),
            iat: now_s(),
            exp: now_s() + 60,
            n: self.n,
            th: self.token.as_ref().map(|token| token.digest().to_string()),
        }
    }

    pub(crate) fn sign(&self, claims: &DialClaims) -> String {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().unwrap();
        let key = EncodingKey::from_ed_der(der.as_ref());
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &key).unwrap()
    }

    /// Dials with a token of the test's choice.
    pub(crate) async fn dial_with(&self, lab: &Lab, token: &str) -> Result<Link, DialError> {
        let mut headers = self.headers.clone();
        headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
        lab.dial(AGENT_PATH, AGENT_SUBPROTOCOL, headers).await.map(|dialled| Link(dialled.socket))
    }

    pub(crate) async fn dial(&mut self, lab: &Lab) -> Result<Link, DialError> {
        let claims = self.claims();
        let token = self.sign(&claims);
        self.dial_with(lab, &token).await
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello {
            protocol: PROTOCOL_VERSION,
            version: "0.1.0".into(),
            instance: self.instance,
            spool: self.spool,
            ledger_seq: 0,
            facts_acked: 0,
            receipt: None,
            session: self.token.clone(),
            hostname: "till-1".into(),
            os: "linux-x86_64".into(),
            local_endpoint: None,
            printers: self.printers.clone(),
            transfers: Vec::new(),
            clock_offset_ms: None,
        }
    }

    /// Dials and begins a session.
    pub(crate) async fn connect(&mut self, lab: &Lab) -> (Link, Welcome) {
        let mut link = self.dial(lab).await.unwrap();
        link.say(&ToBroker::Hello(Box::new(self.hello())));
        let ToAgent::Welcome(welcome) = link.receive().await else { panic!("no welcome") };
        self.token = Some(welcome.session.clone());
        link.say(&ToBroker::Reconciled { store_epoch: welcome.store_epoch });
        (link, *welcome)
    }
}

/// What a refused dial was told.
pub(crate) fn refused(dialled: Result<Link, DialError>) -> DialRefused {
    match dialled {
        Err(DialError::Http { status, body, .. }) => {
            assert_eq!(status.as_u16(), 401);
            serde_json::from_slice(&body).unwrap()
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the dial was taken"),
    }
}

impl Link {
    pub(crate) fn say(&mut self, message: &impl serde::Serialize) {
        self.0.queue_text(serde_json::to_string(message).unwrap()).unwrap();
    }

    /// The next message.
    pub(crate) async fn receive<M: serde::de::DeserializeOwned>(&mut self) -> M {
        loop {
            match tokio::time::timeout(LONG, self.0.ready(false)).await.unwrap() {
                Ready::Text(text) => return serde_json::from_str(&text).unwrap(),
                Ready::Closed(closed) => panic!("{closed}"),
                _ => {}
            }
        }
    }

    /// The end, whatever comes before it.
    pub(crate) async fn closed(&mut self) -> Closed {
        loop {
            if let Ready::Closed(closed) = tokio::time::timeout(LONG, self.0.ready(false)).await.unwrap() {
                return closed;
            }
        }
    }
}
