//! Who changed what in the account's administration.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One administrative act. Written in the same commit as what it is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// Its number in the account; 1 is the first.
    pub seq: u64,
    /// When.
    pub at_ms: u64,
    /// Who: `key:ID`, `user:ID`, `token:SUBJECT`, or `admin` for the broker's own admin socket.
    pub who: String,
    /// Their name at that time.
    pub who_name: String,
    /// Where they were seen; none on the admin socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What they did: the method's name, such as `keys.create`.
    pub action: String,
    /// To what: its kind and id, such as `key:ID`; empty where it is the account itself.
    pub target: String,
    /// What else is known; never a secret.
    #[serde(default)]
    pub detail: Value,
}

/// `audit.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AuditList {
    /// At most this many (1 to 500); 50 unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only entries before this number: `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Only acts that begin with this, such as `keys.`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Only by this one, such as `user:ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
}

/// Answer to `audit.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Audit {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// `before` of the next page, where there may be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
