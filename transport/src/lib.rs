//! Protocol bytes over a TLS WebSocket.
//!
//! ```text
//!   agent, client                                             broker
//!   BrokerUrl ─▶ dial ─▶ TCP ─▶ TLS (pin or platform) ─▶ ... ServerTls ─▶ HTTP upgrade ─▶ accept
//!                  └──▶ Socket ◀═══════ messages, both directions at once ═══════▶ Socket ◀─┘
//! ```
//!
//! What is here knows sizes, deadlines, certificates and close codes, but not what a message means.
//! One task owns one [`Socket`]: it waits in [`Socket::ready`], which reads and writes at the same time,
//! and puts messages into it without waiting. Bytes are counted by [`Metered`] below TLS, because
//! liveness is bytes, not messages.
//!
//! Absent on purpose: reconnecting (the agent's and the client's policies differ), HTTP routing (the broker
//! has hyper), a process-wide default of the cryptography provider, and the system's trust store wherever a pin is given.

#![warn(missing_docs)]

pub mod certs;
mod client_tls;
mod clock;
mod dial;
pub mod limits;
mod metered;
mod options;
mod server_tls;
mod socket;
mod tls_stream;
mod url;
mod verify;

pub use client_tls::{TlsSetupError, Trust, client_config};
pub use clock::ClockOffset;
pub use dial::{Dial, DialError, DialIo, Dialled, NotValid, PeerCertificates, Stage, dial};
pub use metered::{Meter, Metered};
pub use options::set_socket_options;
pub use server_tls::{ServerTls, ServerTlsError, TlsFiles};
pub use socket::{Closed, Full, Ready, Socket, SocketConfig, accept};
pub use tls_stream::{ServerStream, accept_tls};
pub use url::{BrokerUrl, BrokerUrlError};
pub use verify::PinMismatch;

use std::sync::Arc;

/// The one cryptography provider of the whole program (aws-lc-rs), to be passed explicitly wherever rustls asks.
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    use std::sync::OnceLock;
    static PROVIDER: OnceLock<Arc<rustls::crypto::CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}
