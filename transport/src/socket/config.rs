//! The bounds of one socket, by what it is for.

use std::time::Duration;

use inkwire_protocol::limits::{
    MAX_APP_MESSAGE_BYTES, MAX_CONTROL_BYTES, MAX_PACKET_BYTES, PACKET_HEADER_BYTES, SEND_WITHIN,
};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::limits::{FRAME_BYTES, MAX_QUEUED_BYTES, READ_BUFFER_BYTES};

/// The bounds of one socket.
#[derive(Debug, Clone, Copy)]
pub struct SocketConfig {
    /// Largest text message that is accepted; a larger one closes the socket with code 4101.
    pub max_text_bytes: usize,
    /// Largest binary message that is accepted; likewise.
    pub max_binary_bytes: usize,
    /// What may wait to be sent before `queue_*` says [`Full`].
    pub max_queued_bytes: usize,
    /// Longest time in which nothing that waits to be sent moves.
    pub send_within: Duration,
}

impl SocketConfig {
    /// For the connection between an agent and the broker, at either end.
    pub const AGENT: Self = Self {
        max_text_bytes: MAX_CONTROL_BYTES,
        max_binary_bytes: MAX_PACKET_BYTES as usize + PACKET_HEADER_BYTES,
        max_queued_bytes: MAX_QUEUED_BYTES,
        send_within: SEND_WITHIN,
    };

    /// For the connection between an app and the broker, at either end.
    pub const APP: Self = Self { max_text_bytes: MAX_APP_MESSAGE_BYTES, ..Self::AGENT };

    pub(super) fn websocket(&self) -> WebSocketConfig {
        let largest = self.max_text_bytes.max(self.max_binary_bytes);
        WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(FRAME_BYTES)
            // What we gather (a frame's worth), one frame, and the answers to Ping and Close.
            .max_write_buffer_size(3 * FRAME_BYTES)
            .max_message_size(Some(largest))
            .max_frame_size(Some(largest))
    }
}
