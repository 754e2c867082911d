//! Authentication as the configuration wants it, and the rotation of its keys.

use std::sync::Arc;

use inkwire_transport::BrokerUrl;
use tokio_util::sync::CancellationToken;

use super::drain::Vital;
use super::{StartError, blocking};
use crate::auth::Auth;
use crate::auth::gate::Parts;
use crate::auth::issuers::Issuers;
use crate::auth::origin::Origins;
use crate::auth::passwords::Passwords;
use crate::auth::tokens::Tokens;
use crate::clock::now_ms;
use crate::config::Config;
use crate::limits::ROTATION_LOOK;
use crate::store::SharedStore;

/// Passwords, tokens and limits; keys for tokens are made where there are none, and rotated.
pub(super) async fn start_auth(
    config: &Config,
    store: SharedStore,
    url: &BrokerUrl,
    vital: &mut Vital,
    stop: &CancellationToken,
) -> Result<Arc<Auth>, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::Auth(error.to_string());
    let (issuer, file) = (url.origin(), config.data_dir.join("token-keys.json"));
    let rotate_s = config.api.rotate_token_keys_s;
    let tokens = blocking(move || Tokens::open(issuer, &file, rotate_s, now_ms())).await?;
    let passwords = blocking(Passwords::new).await?;
    let origin = url.origin();
    let origins = config.api.allowed_origins.iter().map(String::as_str).chain([origin.as_str()]);
    let auth = Arc::new(Auth::new(Parts {
        store,
        passwords: passwords.map_err(|error| failed(&error))?,
        tokens: tokens.map_err(|error| failed(&error))?,
        issuers: Issuers::new(config.issuers.clone()),
        origins: Origins::new(origins).ok_or_else(|| failed(&"an allowed origin is not one"))?,
        broker_limits: config.limits.account,
        token_grace: config.api.token_grace,
    }));
    vital.spawn("token keys", rotate(auth.clone(), stop.clone()));
    Ok(auth)
}

/// Rotates the keys that sign access tokens when they are old enough.
async fn rotate(auth: Arc<Auth>, stop: CancellationToken) {
    loop {
        let rotating = auth.clone();
        match tokio::task::spawn_blocking(move || rotating.tokens.rotate(now_ms())).await {
            Ok(Ok(true)) => tracing::info!("the key that signs access tokens was rotated"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the key that signs access tokens was not rotated"),
            Err(error) => tracing::warn!(%error, "the key that signs access tokens was not rotated"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(ROTATION_LOOK)).await.is_none() {
            return;
        }
    }
}
