//! Through CUPS: Print-Job (RFC 8011 section 4.2.1) over kept-alive HTTP, a raw queue for each printer.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use ipp::prelude::{IppRequestResponse, IppVersion, Operation};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::device::label;
use crate::load::Way;
use crate::peers::cups::Cups;

/// Apps as IPP clients.
#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) cups: Cups,
    printers: usize,
    /// By slot.
    connections: Mutex<HashMap<usize, SendRequest<Full<Bytes>>>>,
}

impl Queues {
    pub(crate) fn new(cups: Cups, printers: usize) -> Self {
        Self { cups, printers, connections: Mutex::default() }
    }

    /// The slot's connection, if it still stands, or a new one.
    async fn connection(&self, slot: usize) -> Result<SendRequest<Full<Bytes>>> {
        let kept = self.connections.lock().await.remove(&slot);
        if let Some(mut kept) = kept
            && kept.ready().await.is_ok()
        {
            return Ok(kept);
        }
        let stream = TcpStream::connect(self.cups.address).await.context("CUPS takes no connection")?;
        stream.set_nodelay(true).context("a socket takes the option")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.context("HTTP")?;
        // Its end is the sender's, which says so at the next request.
        tokio::spawn(connection);
        Ok(sender)
    }
}

impl Way for Queues {
    async fn submit(&self, slot: usize, number: u64) -> Result<()> {
        let path = format!("/printers/printer{}", number % self.printers as u64);
        let uri = format!("ipp://localhost:{}{path}", self.cups.address.port()).parse().context("a URI")?;
        let head = IppRequestResponse::new(IppVersion::v1_1(), Operation::PrintJob, Some(uri))?;
        let mut body = head.to_bytes().to_vec();
        body.extend(label(number));
        let request = Request::post(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/ipp")
            .body(Full::new(Bytes::from(body)))
            .context("a request")?;
        let mut connection = self.connection(slot).await?;
        let answer = connection.send_request(request).await.context("CUPS does not answer")?;
        ensure!(answer.status().is_success(), "CUPS answers {}", answer.status());
        let answer = answer.into_body().collect().await.context("the answer's body")?.to_bytes();
        // Bytes 2 and 3 are the status; below 0x0100 it is a success (RFC 8011 section 4.1.6).
        ensure!(answer.get(2) == Some(&0), "CUPS did not take the job: {:02x?}", answer.get(..4));
        self.connections.lock().await.insert(slot, connection);
        Ok(())
    }

    /// A job is settled when its device has it.
    async fn settle(&self) -> Result<()> {
        Ok(())
    }
}
