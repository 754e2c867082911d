//! Requests that wait for their answer: sent once, or again where that does no harm.

use std::collections::BTreeMap;
use std::time::Duration;

use inkwire_protocol::app::{RpcRequest, RpcResponse};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Answered, Call, Repeat};
use crate::error::Error;

/// All requests without an answer, by their id.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    last_id: u64,
    pending: BTreeMap<u64, Pending>,
}

#[derive(Debug)]
struct Pending {
    method: &'static str,
    /// The request as it goes over the wire.
    text: String,
    repeat: Repeat,
    within: Duration,
    deadline: Instant,
    sent: bool,
    reply: oneshot::Sender<Result<Answered, Error>>,
}

impl Pending {
    /// The caller may be gone: then nobody wants to know.
    fn answer(self, answer: Result<Answered, Error>) {
        if self.reply.send(answer).is_err() {
            tracing::trace!(method = self.method, "nobody waits for the answer any more");
        }
    }
}

impl Calls {
    /// Takes a call; it is sent when the socket takes it. `connection` is the one that stands, if one does.
    pub(crate) fn add(&mut self, call: Call, connection: Option<u64>) {
        self.last_id += 1;
        let id = self.last_id;
        let request = RpcRequest {
            jsonrpc: "2.0".to_owned(),
            id: Some(Value::from(id)),
            method: call.method.to_owned(),
            params: Some(call.params),
        };
        let Call { method, repeat, within, deadline, reply, .. } = call;
        match serde_json::to_string(&request) {
            Ok(text) => {
                let pending = Pending { method, text, repeat, within, deadline, sent: false, reply };
                if matches!(repeat, Repeat::Only(wanted) if connection != Some(wanted)) {
                    return pending.answer(Err(Error::Interrupted { method }));
                }
                self.pending.insert(id, pending);
            }
            Err(error) => {
                let error = Error::NotUnderstood { method, detail: error.to_string() };
                if reply.send(Err(error)).is_err() {
                    tracing::trace!(method, "nobody waits for the answer any more");
                }
            }
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether one is not sent yet.
    pub(crate) fn has_unsent(&self) -> bool {
        self.pending.values().any(|pending| !pending.sent)
    }

    /// Whether one was sent and is not answered.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.pending.values().any(|pending| pending.sent)
    }

    /// The next request to send; it counts as sent from now on.
    pub(crate) fn take_unsent(&mut self) -> Option<String> {
        let pending = self.pending.values_mut().find(|pending| !pending.sent)?;
        pending.sent = true;
        Some(pending.text.clone())
    }

    /// Takes an answer from the broker.
    pub(crate) fn on_answer(&mut self, response: RpcResponse, connection: u64) {
        let Some(pending) = response.id.as_u64().and_then(|id| self.pending.remove(&id)) else {
            // An answer that came after its deadline, or to a message that could not be read.
            tracing::debug!(id = %response.id, error = ?response.error, "an answer to nothing that waits");
            return;
        };
        let method = pending.method;
        pending.answer(match (response.result, response.error) {
            (_, Some(error)) => Err(Error::Refused(error.data)),
            (result, None) => {
                tracing::trace!(method, "answered");
                Ok(Answered { result: result.unwrap_or(Value::Null), connection })
            }
        });
    }

    /// The connection is gone: what may be repeated waits for the next one, the rest fails.
    pub(crate) fn on_lost(&mut self) {
        for (id, mut pending) in std::mem::take(&mut self.pending) {
            let again = match pending.repeat {
                Repeat::Always => true,
                Repeat::Unsent => !pending.sent,
                Repeat::Only(_) => false,
            };
            if again {
                pending.sent = false;
                self.pending.insert(id, pending);
            } else {
                let method = pending.method;
                pending.answer(Err(Error::Interrupted { method }));
            }
        }
    }

    /// Fails what has waited too long; with `why` where no connection stands.
    pub(crate) fn on_time(&mut self, now: Instant, why: Option<&Error>) {
        for (id, pending) in std::mem::take(&mut self.pending) {
            if pending.deadline > now {
                self.pending.insert(id, pending);
                continue;
            }
            let timeout = Error::Timeout { method: pending.method, within: pending.within };
            pending.answer(Err(why.cloned().unwrap_or(timeout)));
        }
    }

    /// When [`Calls::on_time`] is due next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.pending.values().map(|pending| pending.deadline).min()
    }

    /// Nothing will ever be answered.
    pub(crate) fn fail_all(&mut self, error: &Error) {
        for pending in std::mem::take(&mut self.pending).into_values() {
            pending.answer(Err(error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<Answered, Error>>;

    fn call(calls: &mut Calls, repeat: Repeat, connection: Option<u64>) -> Answer {
        let (reply, answer) = oneshot::channel();
        let within = Duration::from_secs(30);
        let call = Call {
            method: "m",
            params: Value::Null,
            repeat,
            within,
            deadline: Instant::now() + within,
            reply,
        };
        calls.add(call, connection);
        answer
    }

    #[tokio::test]
    async fn what_may_be_repeated_goes_out_again_and_the_rest_says_so() {
        let mut calls = Calls::default();
        let mut always = call(&mut calls, Repeat::Always, Some(1));
        let mut sent = call(&mut calls, Repeat::Unsent, Some(1));
        assert!(calls.take_unsent().is_some() && calls.take_unsent().is_some());
        let mut unsent = call(&mut calls, Repeat::Unsent, Some(1));
        let mut only = call(&mut calls, Repeat::Only(1), Some(1));
        let mut late = call(&mut calls, Repeat::Only(1), Some(2));
        assert!(matches!(late.try_recv().unwrap(), Err(Error::Interrupted { .. })));
        calls.on_lost();
        assert!(matches!(sent.try_recv().unwrap(), Err(Error::Interrupted { .. })));
        assert!(matches!(only.try_recv().unwrap(), Err(Error::Interrupted { .. })));
        assert!(always.try_recv().is_err() && unsent.try_recv().is_err());
        assert_eq!((calls.len(), calls.has_unsent()), (2, true));
        let text = calls.take_unsent().unwrap();
        assert!(text.contains(r#""id":1"#), "{text}");
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"a":1}}"#;
        calls.on_answer(serde_json::from_str(answer).unwrap(), 2);
        let answered = always.try_recv().unwrap().unwrap();
        assert_eq!((answered.connection, answered.result["a"].as_u64()), (2, Some(1)));
    }

    #[tokio::test]
    async fn a_deadline_fails_with_what_is_known() {
        let mut calls = Calls::default();
        let mut one = call(&mut calls, Repeat::Always, None);
        calls.on_time(Instant::now(), None);
        assert!(one.try_recv().is_err(), "not yet due");
        let later = Instant::now() + Duration::from_secs(31);
        calls.on_time(later, Some(&Error::Closed));
        assert!(matches!(one.try_recv().unwrap(), Err(Error::Closed)));
        let mut two = call(&mut calls, Repeat::Always, None);
        calls.on_time(later, None);
        assert!(matches!(two.try_recv().unwrap(), Err(Error::Timeout { .. })));
    }
}
