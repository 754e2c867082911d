//! Printers on TCP ports, and the labels that they get: each label says which it is, so whoever submitted it hears when
//! its first byte came and when the whole of it was there.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use inkwire_tests::documents::noise;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Size of a label.
pub(crate) const LABEL_BYTES: usize = 2048;
/// Its head: a ZPL comment with its number.
const HEAD: &str = "^XA^FX";
const DIGITS: usize = 16;

/// A label that arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived {
    pub(crate) first_byte: Instant,
    pub(crate) whole: Instant,
    /// Whether its bytes are the ones that were submitted.
    pub(crate) intact: bool,
}

/// Who waits for which label.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected(Arc<Mutex<HashMap<u64, oneshot::Sender<Arrived>>>>);

impl Expected {
    /// To be called before the label is submitted.
    pub(crate) fn expect(&self, number: u64) -> oneshot::Receiver<Arrived> {
        let (tell, told) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number, tell);
        told
    }

    /// A whole document came. One that nobody waits for (any more) is not ours to judge.
    pub(crate) fn arrived(&self, document: &[u8], first_byte: Instant, whole: Instant) {
        let Some(number) = number_of(document) else { return };
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        if let Some(waiting) = waiting {
            let intact = document == label(number);
            // Who has given up waiting has said so already.
            let _gone = waiting.send(Arrived { first_byte, whole, intact });
        }
    }
}

/// The label of this number.
pub(crate) fn label(number: u64) -> Vec<u8> {
    let mut document = format!("{HEAD}{number:0DIGITS$}^FS").into_bytes();
    let rest = LABEL_BYTES - document.len();
    document.extend(noise(number, rest));
    document
}

fn number_of(document: &[u8]) -> Option<u64> {
    let digits = document.get(HEAD.len()..HEAD.len() + DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// So many printers on ports of their own. They end with the runtime.
pub(crate) async fn printers(count: usize, expected: &Expected) -> Result<Vec<SocketAddr>> {
    let mut addresses = Vec::with_capacity(count);
    for _ in 0..count {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free")?;
        addresses.push(listener.local_addr().context("a listener has an address")?);
        tokio::spawn(listen(listener, expected.clone()));
    }
    Ok(addresses)
}

async fn listen(listener: TcpListener, expected: Expected) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(take(stream, expected.clone()));
    }
}

/// One connection is one job. A sender that vanishes in the middle is noticed by whoever waits in vain.
async fn take(mut stream: TcpStream, expected: Expected) {
    let mut document = Vec::with_capacity(2 * LABEL_BYTES);
    let mut first_byte = None;
    while let Ok(read) = stream.read_buf(&mut document).await {
        let now = Instant::now();
        if read == 0 {
            expected.arrived(&document, first_byte.unwrap_or(now), now);
            return;
        }
        first_byte.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_its_number_and_has_its_size() {
        assert_eq!(label(7).len(), LABEL_BYTES);
        assert_eq!(number_of(&label(123_456)), Some(123_456));
        assert_ne!(label(1)[40..], label(2)[40..]);
        assert_eq!(number_of(b"short"), None);
    }

    #[tokio::test]
    async fn whoever_waits_hears_whether_it_is_intact() {
        let expected = Expected::default();
        let (good, bad) = (expected.expect(1), expected.expect(2));
        let mut damaged = label(2);
        damaged[1000] ^= 1;
        let now = Instant::now();
        expected.arrived(&label(1), now, now);
        expected.arrived(&damaged, now, now);
        expected.arrived(&label(3), now, now);
        assert!(good.await.unwrap().intact);
        assert!(!bad.await.unwrap().intact);
    }
}
