//! protocol bytes over a TLS WebSocket
