//! One-time sign-in links.

use inkwire_protocol::ids::{Sha256Digest, UserId};
use inkwire_transport::BrokerUrl;
use rand::Rng as _;
use zeroize::Zeroizing;

use super::keys::{self, Kind};
use crate::clock::now_ms;
use crate::limits::SIGN_IN_LIFETIME;
use crate::store::Change;

/// The account of a first start, and the one that is meant where none is named.
pub(crate) const ACCOUNT: &str = "default";

/// A one-time sign-in: the token, and the change that makes it good.
pub(crate) fn new_sign_in(user: UserId) -> (Zeroizing<String>, Change) {
    let mut random = Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(&mut random[..]);
    let expires_ms = now_ms() + u64::try_from(SIGN_IN_LIFETIME.as_millis()).unwrap_or(u64::MAX);
    let change = Change::CreateSignIn { user, hash: Sha256Digest::of(&random[..]), expires_ms };
    (keys::make(Kind::SignIn, &random), change)
}

/// The link with a token: the pin goes behind the `#`, which browsers keep to themselves.
pub(crate) fn sign_in_link(url: &BrokerUrl, token: &str) -> String {
    let text = url.to_string();
    let pin = text.split_once('#').map_or_else(String::new, |(_, pin)| format!("#{pin}"));
    format!("{}/sign-in?token={token}{pin}", url.origin())
}
