//! What is said on the pairing WebSocket, before an agent is anybody.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What an agent and a broker say on `/v1/pair`, before the agent is anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToPairing {
    /// The agent asks to be paired.
    Pair {
        /// Its Ed25519 public key, 32 bytes in unpadded base64url.
        public_key: String,
        /// A signature by that key over [`pairing_proof`], base64url.
        proof: String,
        /// The PC's name, shown to whoever approves.
        hostname: String,
        /// Operating system and architecture.
        os: String,
        /// The agent's version.
        version: String,
        /// A one-use enrolment token: then no code is needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        enrolment: Option<String>,
    },
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a broker says on `/v1/pair`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromPairing {
    /// First message: what `proof` must sign.
    Challenge {
        /// 32 random bytes, base64url.
        nonce: String,
    },
    /// Somebody must type this code at the broker.
    Code {
        /// Eight characters of Crockford's base32 with a hyphen in the middle (40 bits).
        code: String,
        /// When the code is forgotten.
        expires_in_s: u64,
        /// Where the broker sees the agent.
        observed_endpoint: SocketAddr,
    },
    /// Approved: the agent is somebody.
    Paired {
        /// Its id.
        agent: crate::ids::AgentId,
        /// Its name at the broker.
        agent_name: String,
        /// The account's name.
        account_name: String,
        /// The broker's clock.
        broker_time_ms: u64,
    },
    /// Refused, expired, or the enrolment token is not valid.
    Refused {
        /// In words, with the remedy.
        reason: String,
    },
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The bytes that a pairing agent signs: they name the purpose, so that the signature is good for nothing else.
pub fn pairing_proof(nonce: &str, public_key: &str) -> Vec<u8> {
    format!("inkwire pairing v1\n{nonce}\n{public_key}").into_bytes()
}
