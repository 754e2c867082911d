//! One-use tokens that pair an agent without asking.

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, EnrolmentId};

/// An enrolment token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Enrolment {
    /// Its id.
    pub id: EnrolmentId,
    /// When it was made.
    pub created_ms: u64,
    /// When it expires.
    pub expires_ms: u64,
    /// The agent that used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<AgentId>,
}

/// Answer to `enrolments.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Enrolments {
    /// Those that are neither revoked nor long over, newest first.
    pub enrolments: Vec<Enrolment>,
}

/// `enrolments.create`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EnrolmentCreate {
    /// Seconds until it expires: at most, and unless said, a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// Answer to `enrolments.create`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnrolmentCreated {
    /// The enrolment.
    pub enrolment: Enrolment,
    /// The token, shown only now: `inkwire agent pair URL --enrolment TOKEN`.
    pub token: String,
    /// The URL that goes with it.
    pub pair_url: String,
}

impl std::fmt::Debug for EnrolmentCreated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrolmentCreated").field("enrolment", &self.enrolment).finish_non_exhaustive()
    }
}

/// `enrolments.revoke`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRef {
    /// The enrolment.
    pub enrolment: EnrolmentId,
}
