//! Back-ends are the simulation's; what they promise is the real trait.

pub mod backend;

use std::path::Path;
use std::sync::Arc;

pub use backend::Backend;

#[derive(Debug, Clone)]
pub struct PrinterConfig {
    pub(crate) name: String,
    pub(crate) number: Option<u16>,
    pub(crate) uri: String,
}

#[derive(Debug, thiserror::Error)]
#[error("there are no configured printers here")]
pub struct PrinterConfigError;

pub(crate) fn build(_: &PrinterConfig, _: &Path) -> Result<Arc<dyn Backend>, PrinterConfigError> {
    Err(PrinterConfigError)
}

pub(crate) async fn discover() -> Result<Vec<PrinterConfig>, PrinterConfigError> {
    Ok(Vec::new())
}
