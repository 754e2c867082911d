//! Through our broker and agents, by the client library.

use anyhow::Result;
use inkwire_client::{Client, new_job};

use crate::device::label;
use crate::load::Way;
use crate::ours::Ours;

/// Apps at a broker with its agents.
#[derive(Debug)]
pub(crate) struct Inkwire {
    pub(crate) ours: Ours,
    pub(crate) apps: Vec<Client>,
    pub(crate) printers: usize,
}

impl Way for Inkwire {
    async fn submit(&self, slot: usize, number: u64) -> Result<()> {
        let printer = format!("printer{}", number % self.printers as u64);
        let app = &self.apps[slot % self.apps.len()];
        app.submit(new_job(printer, "application/octet-stream"), label(number)).await?;
        Ok(())
    }

    async fn settle(&self) -> Result<()> {
        self.ours.await_completed(&self.apps[0]).await
    }
}
