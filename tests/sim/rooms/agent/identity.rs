//! Who an agent is: written in the name of its state directory.

use std::fs::File;
use std::path::{Path, PathBuf};

use inkwire_protocol::ids::AgentId;

use inkwire_transport::BrokerUrl;

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("{0} is in use")]
    InUse(PathBuf),
    #[error("{0} is no state directory")]
    None(PathBuf),
}

pub(crate) struct Identity {
    pub(crate) agent: AgentId,
    pub(crate) agent_name: String,
}

pub(crate) struct DeviceKey;

impl DeviceKey {
    pub(crate) fn pkcs8(&self) -> &[u8] {
        &[]
    }
}

pub(crate) fn lock(state_dir: &Path) -> Result<File, IdentityError> {
    File::create(state_dir.join("agent.lock")).map_err(|_| IdentityError::InUse(state_dir.to_owned()))
}

pub(crate) fn load(state_dir: &Path) -> Result<(Identity, DeviceKey, BrokerUrl), IdentityError> {
    let name = state_dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let agent = name.parse().map_err(|_| IdentityError::None(state_dir.to_owned()))?;
    Ok((Identity { agent, agent_name: name }, DeviceKey, BrokerUrl))
}

pub(crate) fn hostname() -> String {
    "pc".into()
}

pub(crate) fn os() -> String {
    "sim".into()
}
