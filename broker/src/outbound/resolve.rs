//! From names to addresses.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;

/// Who answers for names.
#[async_trait]
pub(crate) trait Resolve: Send + Sync + 'static {
    /// All addresses of a host.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
#[derive(Debug)]
pub(crate) struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}
