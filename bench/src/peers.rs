//! The servers that are given the same work: each from its own program, with a configuration from `bench/peers`, in a
//! folder and on ports of its own, ended by its own process id.

pub(crate) mod cups;
pub(crate) mod mosquitto;
pub(crate) mod nats;
pub(crate) mod relay;
pub(crate) mod server;
pub(crate) mod tls;
pub(crate) mod websocket;
