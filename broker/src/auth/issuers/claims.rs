//! From the claims of another issuer's token to an account and a scope. Pure.

use inkwire_protocol::app::Scope;
use serde_json::{Map, Value};

use super::Issuer;

/// Longest subject that is taken: it goes into logs and the audit.
const MAX_SUBJECT_CHARS: usize = 256;

/// Which account a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccountFrom {
    /// Always this one.
    Fixed(String),
    /// The one that this claim names.
    Claim(String),
}

/// What a token may do: each value of the claim that the table knows; the largest counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scopes {
    /// The claim; a string (words with spaces between) or a list of strings.
    pub(crate) claim: Option<String>,
    pub(crate) table: Vec<(String, Scope)>,
    /// Where the claim gives nothing.
    pub(crate) otherwise: Option<Scope>,
}

/// What a token means here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meant {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    /// The account's name.
    pub(crate) account: String,
    pub(crate) scope: Scope,
    pub(crate) expires_ms: u64,
}

/// None where the claims give no account or no scope.
pub(super) fn meant(issuer: &Issuer, claims: &Map<String, Value>) -> Option<Meant> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let subject = text("sub").filter(|sub| (1..=MAX_SUBJECT_CHARS).contains(&sub.chars().count()))?;
    let account = match &issuer.account {
        AccountFrom::Fixed(name) => name.clone(),
        AccountFrom::Claim(claim) => text(claim)?,
    };
    let expires_s = claims.get("exp").and_then(Value::as_f64)?;
    Some(Meant {
        issuer: issuer.issuer.clone(),
        subject,
        account,
        scope: scope(&issuer.scopes, claims)?,
        expires_ms: (expires_s * 1000.0) as u64,
    })
}

fn scope(scopes: &Scopes, claims: &Map<String, Value>) -> Option<Scope> {
    let value = scopes.claim.as_ref().and_then(|claim| claims.get(claim));
    let words: Vec<&str> = match value {
        Some(Value::String(text)) => text.split_whitespace().collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
    };
    let known = |word: &str| scopes.table.iter().find(|(name, _)| name == word).map(|(_, scope)| *scope);
    words.into_iter().filter_map(known).max().or(scopes.otherwise)
}
