//! The end of a socket, step by step and within a deadline.
//!
//! ```text
//!   close()          Send ─▶ AwaitPeer ─▶ Shutdown
//!   violation        Send ─▶ Shutdown ─▶ Discard      (an unread byte would turn our close frame into a reset)
//!   the peer's close         Answer ─▶ Shutdown
//! ```

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, Stream};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::limits::CLOSE_WITHIN;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::closed::{self, Closed};
use super::{Phase, Socket};
use crate::limits::{MAX_CLOSE_REASON_BYTES, MAX_DISCARDED_BYTES};

#[derive(Debug)]
pub(super) struct Closing {
    closed: Closed,
    step: Step,
    /// Made at the first poll.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the stream below is to be emptied after our close frame.
    discard: bool,
    discarded: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// What is queued goes out.
    Drain,
    /// Our close frame is written ...
    Frame,
    /// ... and flushed.
    Flush,
    /// The peer's close frame is waited for; messages that come before it are dropped.
    AwaitPeer,
    /// The connection is shut down for writing.
    Shutdown,
    /// What still comes is thrown away.
    Discard,
}

impl Closing {
    const fn new(closed: Closed, step: Step, discard: bool) -> Self {
        Self { closed, step, timer: None, discard, discarded: 0 }
    }

    pub(super) fn by_us(code: CloseCode, reason: &str) -> Self {
        Self::new(Closed::by_us_with(code, reason), Step::Drain, false)
    }

    pub(super) fn by_peer(frame: Option<CloseFrame>) -> Self {
        let (code, text) = frame
            .map_or((1005, String::new()), |frame| (u16::from(frame.code), frame.reason.as_str().to_owned()));
        let code = CloseCode::from(code);
        let closed = Closed::Said { code, reason: words_of(code, &text).to_owned(), by_us: false };
        Self::new(closed, Step::Flush, false)
    }

    pub(super) fn too_large(kind: &str, size: usize, limit: usize) -> Self {
        let reason = format!("{kind} message of {size} bytes, at most {limit} are allowed");
        Self::new(Closed::by_us_with(CloseCode::TooLarge, reason), Step::Frame, true)
    }

    pub(super) fn after(error: Error) -> Self {
        Self::new(closed::from_read(error), Step::Frame, true)
    }

    /// A lost connection is over at once; everything else still has a word to say.
    pub(super) fn into_phase(self) -> Phase {
        match self.closed {
            Closed::Lost(_) => Phase::Closed(self.closed),
            Closed::Said { .. } => Phase::Closing(Box::new(self)),
        }
    }

    fn frame(&self) -> Option<CloseFrame> {
        match &self.closed {
            Closed::Said { code, reason, .. } => {
                Some(CloseFrame { code: code.code().into(), reason: on_the_wire(*code, reason).into() })
            }
            Closed::Lost(_) => None,
        }
    }
}

/// The text of a close frame: the code's name, then the words (docs/protocol.md §8), cut where a character ends.
fn on_the_wire(code: CloseCode, words: &str) -> String {
    let mut text = code.name().to_owned();
    if !words.is_empty() {
        text.push_str(": ");
        text.push_str(words);
    }
    text.truncate(text.floor_char_boundary(MAX_CLOSE_REASON_BYTES));
    text
}

/// The words in a close frame's text, without the code's name where it stands before them.
fn words_of(code: CloseCode, text: &str) -> &str {
    match text.strip_prefix(code.name()) {
        Some("") => "",
        Some(rest) => rest.strip_prefix(": ").unwrap_or(text),
        None => text,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Goes on with the end of this socket. Whatever fails on the way, the reason stays the one it began with,
    /// except that a peer which closed first is believed.
    pub(super) fn poll_closing(&mut self, cx: &mut Context<'_>, closing: &mut Closing) -> Poll<Closed> {
        let timer = closing.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_WITHIN)));
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(closing.closed.clone());
        }
        loop {
            let next = match closing.step {
                Step::Drain => ready!(self.poll_drain(cx)).ok().map(|()| Step::Frame),
                Step::Frame => {
                    self.outbox.clear();
                    let close = Message::Close(closing.frame());
                    Pin::new(&mut self.stream).start_send(close).ok().map(|()| Step::Flush)
                }
                Step::Flush => {
                    let expected = closing.closed.by_us() && !closing.discard;
                    let after = if expected { Step::AwaitPeer } else { Step::Shutdown };
                    ready!(Pin::new(&mut self.stream).poll_flush(cx)).ok().map(|()| after)
                }
                Step::AwaitPeer => ready!(self.poll_peer(cx)),
                Step::Shutdown => {
                    let shut = ready!(Pin::new(self.stream.get_mut()).poll_shutdown(cx));
                    shut.ok().filter(|()| closing.discard).map(|()| Step::Discard)
                }
                Step::Discard => ready!(self.poll_discard(cx, &mut closing.discarded)),
            };
            match next {
                Some(step) => closing.step = step,
                None => return Poll::Ready(closing.closed.clone()),
            }
        }
    }

    fn poll_peer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Step>> {
        loop {
            match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Some(Step::Shutdown)),
                Some(Ok(_)) => {}
                Some(Err(_)) => return Poll::Ready(None),
            }
        }
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>, discarded: &mut usize) -> Poll<Option<Step>> {
        let mut scratch = [0; 1024];
        while *discarded < MAX_DISCARDED_BYTES {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(self.stream.get_mut()).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => *discarded += buffer.filled().len(),
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_says_its_name_and_then_words_that_fit() {
        assert_eq!(on_the_wire(CloseCode::Silent, ""), "silent");
        assert_eq!(on_the_wire(CloseCode::Clone, "two PCs"), "clone: two PCs");
        for length in 0..200 {
            let text = on_the_wire(CloseCode::PacketOutOfWindow, &"ü€😀".repeat(length));
            assert!(
                text.len() <= MAX_CLOSE_REASON_BYTES && text.starts_with("packet-out-of-window"),
                "{text}"
            );
            assert!(
                length < 20 || text.len() > MAX_CLOSE_REASON_BYTES - 4,
                "no more than a character is lost"
            );
        }
    }

    #[test]
    fn the_name_is_not_taken_for_words_and_words_are_not_taken_for_a_name() {
        for words in ["", "a newer session", "superseded: twice"] {
            let text = on_the_wire(CloseCode::Superseded, words);
            assert_eq!(words_of(CloseCode::Superseded, &text), words);
        }
        assert_eq!(words_of(CloseCode::Normal, "normality"), "normality");
        assert_eq!(words_of(CloseCode::Other(3000), "bye"), "bye");
    }
}
