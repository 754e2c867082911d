//! Tokens of other issuers: whom their claims mean here, and the keys that check them.

mod claims;
mod fetch;
mod jwks;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::{Algorithm, Validation};
use serde_json::{Map, Value};
use tokio::time::Instant;

pub(crate) use claims::{AccountFrom, Meant, Scopes};
pub(crate) use fetch::Source;
use jwks::Jwks;

/// Clocks of others may be off by this much.
const LEEWAY_S: u64 = 30;
/// Keys older than this are looked at again before they are used.
const FRESH: Duration = Duration::from_secs(3600);

/// One issuer, as configured and checked.
#[derive(Debug, Clone)]
pub(crate) struct Issuer {
    /// `iss`.
    pub(crate) issuer: String,
    /// `aud`.
    pub(crate) audience: String,
    pub(crate) source: Source,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) account: AccountFrom,
    pub(crate) scopes: Scopes,
    /// An unknown `kid` lets the keys be read again, but no oftener than this.
    pub(crate) refresh: Duration,
}

/// A configured issuer with the keys that are known of it.
#[derive(Debug)]
struct Known {
    issuer: Issuer,
    keys: Mutex<Keys>,
    /// Held while its keys are read: one at a time.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Keys {
    jwks: Jwks,
    /// When they were read last, and when it was tried last.
    read: Option<Instant>,
    tried: Option<Instant>,
}

/// All issuers of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Issuers {
    known: Vec<Arc<Known>>,
}

impl Issuers {
    pub(crate) fn new(issuers: Vec<Issuer>) -> Self {
        let new = |issuer| Arc::new(Known { issuer, keys: Mutex::default(), reading: Arc::default() });
        Self { known: issuers.into_iter().map(new).collect() }
    }

    /// What a token of one of them means; none where it is no good, or nobody's that is known.
    pub(crate) async fn verify(&self, token: &str, now_ms: u64) -> Option<Meant> {
        #[derive(serde::Deserialize)]
        struct Claimed {
            iss: String,
        }
        let claimed: Claimed = jsonwebtoken::dangerous::insecure_decode(token).ok()?.claims;
        let known = self.known.iter().find(|known| known.issuer.issuer == claimed.iss)?;
        let header = jsonwebtoken::decode_header(token).ok()?;
        // Pinned by the configuration; the header only says which of them.
        if !known.issuer.algorithms.contains(&header.alg) {
            return None;
        }
        let key = known.key(header.kid.as_deref(), header.alg).await?;
        let claims = check(token, &known.issuer, header.alg, &key, now_ms)?;
        claims::meant(&known.issuer, &claims)
    }
}

impl Known {
    /// The key of this name. Who waits for an unknown one waits for its server; a known one that is old keeps only the request waiting that
    /// has it read anew, so that a server that hangs does not keep everybody.
    async fn key(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Option<jsonwebtoken::DecodingKey> {
        let (found, fresh) = self.look(kid, algorithm);
        if found.is_some() && fresh {
            return found;
        }
        let reading = if found.is_some() {
            let Ok(reading) = self.reading.clone().try_lock_owned() else { return found };
            reading
        } else {
            self.reading.clone().lock_owned().await
        };
        if let (Some(found), true) = self.look(kid, algorithm) {
            return Some(found);
        }
        if self.may_read() {
            // A task of its own, so that a stranger who hangs up does not end what everybody needs.
            let known = self.clone();
            let read = tokio::spawn(async move {
                known.read().await;
                drop(reading);
            });
            if let Err(error) = read.await {
                tracing::error!(issuer = self.issuer.issuer, %error, "the reading of an issuer's keys broke off");
            }
        }
        self.look(kid, algorithm).0
    }

    /// Whether the keys may be read now: not again so soon, whoever asks.
    fn may_read(&self) -> bool {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let may = keys.tried.is_none_or(|at| now.duration_since(at) >= self.issuer.refresh);
        keys.tried = if may { Some(now) } else { keys.tried };
        may
    }

    fn look(&self, kid: Option<&str>, algorithm: Algorithm) -> (Option<jsonwebtoken::DecodingKey>, bool) {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = keys.read.is_some_and(|at| at.elapsed() < FRESH);
        (keys.jwks.find(kid, algorithm), fresh)
    }

    /// Reads the keys; what cannot be read leaves the old ones.
    async fn read(&self) {
        match self.issuer.source.read().await.and_then(|bytes| Jwks::parse(&bytes)) {
            Ok(jwks) => {
                let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
                keys.jwks = jwks;
                keys.read = Some(Instant::now());
            }
            Err(error) => {
                tracing::warn!(issuer = self.issuer.issuer, %error, "an issuer's keys could not be read; the old ones stay");
            }
        }
    }
}

fn check(
    token: &str,
    issuer: &Issuer,
    algorithm: Algorithm,
    key: &jsonwebtoken::DecodingKey,
    now_ms: u64,
) -> Option<Map<String, Value>> {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[&issuer.audience]);
    validation.set_issuer(&[&issuer.issuer]);
    validation.required_spec_claims = ["exp", "aud", "iss", "sub"].map(str::to_owned).into();
    // The library would read the wall clock.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation).ok()?.claims;
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
    let now_s = (now_ms / 1000) as f64;
    let leeway = LEEWAY_S as f64;
    let in_time = seconds("exp").is_some_and(|exp| exp + leeway > now_s)
        && seconds("nbf").is_none_or(|nbf| nbf <= now_s + leeway)
        && seconds("iat").is_none_or(|iat| iat <= now_s + leeway);
    if in_time { Some(claims) } else { None }
}
