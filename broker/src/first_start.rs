//! What an empty data folder is given: the account `default`, its user `owner`, and a one-time sign-in link. Also how the
//! broker is called: by its public URL, or by what the machine knows of itself.

use std::net::SocketAddr;

use inkwire_protocol::app::Role;
use inkwire_protocol::ids::{AccountId, Sha256Digest, UserId};
use inkwire_transport::{BrokerUrl, BrokerUrlError};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::auth::links::{ACCOUNT, new_sign_in};
use crate::clock::now_ms;
use crate::config::Config;
use crate::store::{AccountRow, Change, CommitError, ReadError, SharedStore, UserRow};

/// Its user.
const USER: &str = "owner";

/// A first start that the store refused.
#[derive(Debug, thiserror::Error)]
pub enum FirstStartError {
    /// Not read.
    #[error("{0}")]
    Read(String),
    /// Not written.
    #[error("{0}")]
    Commit(String),
}

impl From<ReadError> for FirstStartError {
    fn from(error: ReadError) -> Self {
        Self::Read(error.to_string())
    }
}

impl From<CommitError> for FirstStartError {
    fn from(error: CommitError) -> Self {
        Self::Commit(error.to_string())
    }
}

/// Makes account, user and link where there is no account yet; gives the link's token then.
pub(crate) async fn first_start(store: &SharedStore) -> Result<Option<Zeroizing<String>>, FirstStartError> {
    if !store.accounts().await?.is_empty() {
        return Ok(None);
    }
    let created_ms = now_ms();
    let account =
        AccountRow { id: AccountId::from_uuid(Uuid::now_v7()), name: ACCOUNT.to_owned(), created_ms };
    let user = UserRow {
        id: UserId::from_uuid(Uuid::now_v7()),
        account: account.id,
        name: USER.to_owned(),
        role: Role::Owner,
        password: None,
        disabled: false,
        created_ms,
        last_sign_in_ms: None,
    };
    let (token, link) = new_sign_in(user.id);
    store.commit(vec![Change::CreateAccount(account), Change::CreateUser(user), link]).await?;
    Ok(Some(token))
}

/// How agents and apps reach a broker that listens at `address`.
pub(crate) fn public_url(
    config: &Config,
    address: SocketAddr,
    pin: Sha256Digest,
) -> Result<BrokerUrl, BrokerUrlError> {
    let url = match &config.public_url {
        Some(text) => text.parse::<BrokerUrl>()?,
        None if address.ip().is_unspecified() => {
            let host = host_name().unwrap_or_else(|| "localhost".to_owned());
            BrokerUrl::new(&host, address.port(), None)?
        }
        None => BrokerUrl::new(&address.ip().to_string(), address.port(), None)?,
    };
    Ok(url.with_pin(Some(pin)))
}

/// Every name that the certificate of our own is good for.
pub(crate) fn certificate_names(config: &Config, listening: &[SocketAddr]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    names.extend(host_name());
    names.extend(
        listening.iter().map(|at| at.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string()),
    );
    let public = config.public_url.as_ref().and_then(|text| text.parse::<BrokerUrl>().ok());
    names.extend(public.map(|url| url.host()));
    names.extend(config.names.iter().cloned());
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The machine's name, where it can stand in a certificate.
fn host_name() -> Option<String> {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_str().ok()?.to_ascii_lowercase();
    let fits = rustls_pki_types::DnsName::try_from(name.as_str()).is_ok();
    fits.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OneOrMany, RawConfig};

    fn config(public_url: Option<&str>) -> Config {
        let raw = RawConfig {
            data_dir: Some("/d".into()),
            listen: Some(OneOrMany::One("0.0.0.0:7443".into())),
            public_url: public_url.map(str::to_owned),
            names: vec!["till.example".into(), "localhost".into()],
            ..RawConfig::default()
        };
        Config::try_from(raw).unwrap()
    }

    #[test]
    fn the_broker_knows_how_it_is_called() {
        let pin = Sha256Digest::of(b"ca");
        let url = |public, address: &str| public_url(&config(public), address.parse().unwrap(), pin).unwrap();
        assert_eq!(
            url(Some("https://print.example.com"), "0.0.0.0:7443").origin(),
            "https://print.example.com"
        );
        assert_eq!(url(None, "127.0.0.1:7443").origin(), "https://127.0.0.1:7443");
        assert_eq!(url(None, "[::1]:7443").origin(), "https://[::1]:7443");
        assert!(url(None, "0.0.0.0:7443").origin().ends_with(":7443"));
        let link = crate::auth::links::sign_in_link(&url(None, "127.0.0.1:7443"), "is_x");
        assert!(link.starts_with("https://127.0.0.1:7443/sign-in?token=is_x#sha256="), "{link}");
    }

    #[test]
    fn names_are_complete_and_single() {
        let names =
            certificate_names(&config(Some("https://print.example.com")), &["192.0.2.1:1".parse().unwrap()]);
        for name in ["localhost", "127.0.0.1", "::1", "192.0.2.1", "print.example.com", "till.example"] {
            assert_eq!(names.iter().filter(|have| *have == name).count(), 1, "{name}");
        }
    }
}
