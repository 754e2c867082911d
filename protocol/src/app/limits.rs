//! What an account may use.

use serde::{Deserialize, Serialize};

/// Bounds of an account. None: no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AccountLimits {
    /// Requests a second of one key, user or token, in the long run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_s: Option<u32>,
    /// Requests that may come at once after a quiet time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_burst: Option<u32>,
    /// App connections at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Jobs created in one day (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs_per_day: Option<u64>,
    /// Bytes of documents kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
    /// API keys that are not revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<u32>,
    /// Users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    /// Webhooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<u32>,
}

/// What an account uses now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccountUsage {
    /// App connections.
    pub connections: u32,
    /// Jobs created today (UTC).
    pub jobs_today: u64,
    /// Bytes of documents kept.
    pub stored_bytes: u64,
    /// API keys that are not revoked.
    pub keys: u32,
    /// Users.
    pub users: u32,
}

/// Answer to `limits.get` and `limits.set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limits {
    /// What holds now: the smaller of the broker's and the account's own.
    pub limits: AccountLimits,
    /// The broker's, from its configuration: the account's own can only be smaller.
    pub broker: AccountLimits,
    /// The account's own.
    pub account: AccountLimits,
    /// What is used.
    pub usage: AccountUsage,
}

/// `limits.set`: the account's own. What is said changes, null takes the bound away, what is left out stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSet {
    /// Requests a second of one key, user or token.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub requests_per_s: Option<Option<u32>>,
    /// Requests at once after a quiet time.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub request_burst: Option<Option<u32>>,
    /// App connections at once.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub connections: Option<Option<u32>>,
    /// Jobs created in one day (UTC).
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub jobs_per_day: Option<Option<u64>>,
    /// Bytes of documents kept.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub stored_bytes: Option<Option<u64>>,
    /// API keys that are not revoked.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub keys: Option<Option<u32>>,
    /// Users.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub users: Option<Option<u32>>,
    /// Webhooks.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub webhooks: Option<Option<u32>>,
}

/// Null is something that was said; only what is left out is none.
fn said<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_not_the_same_as_nothing() {
        let set: LimitsSet = serde_json::from_str(r#"{"keys": null, "users": 3}"#).unwrap();
        assert_eq!((set.keys, set.users, set.webhooks), (Some(None), Some(Some(3)), None));
        assert!(serde_json::from_str::<LimitsSet>(r#"{"keys": -1}"#).is_err());
    }
}
