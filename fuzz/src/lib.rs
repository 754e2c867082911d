//! The parsers of broker and agent, compiled from their own files, and nothing else of those crates.

#![allow(dead_code, unused_imports, reason = "the files have more than is fuzzed")]

#[path = "../../broker/src/limits.rs"]
pub mod limits;
pub mod listen;
pub mod printers;

pub mod config {
    //! What `forwarded` knows of the configuration.

    /// As the broker's configuration has it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum ProxyHeader {
        /// `Forwarded`, RFC 7239.
        Forwarded,
        /// `X-Forwarded-For`.
        XForwardedFor,
        /// PROXY protocol version 2.
        ProxyV2,
    }
}

/// Takes bytes apart: what a sequence of steps is made of.
pub struct Feed<'a>(pub &'a [u8]);

impl Feed<'_> {
    /// The next byte; 0 at the end.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// The next number.
    pub fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// A number that is mostly small.
    pub fn small(&mut self) -> u32 {
        match self.byte() {
            255 => self.number(),
            small => u32::from(small),
        }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
