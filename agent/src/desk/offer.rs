//! What to answer to `open`. Pure: what the ledger knows and how much room there is are arguments.

use inkwire_protocol::ids::Attempt;
use inkwire_protocol::limits::MAX_OPEN_TRANSFERS;
use inkwire_protocol::message::{Open, RefuseReason};
use inkwire_protocol::printer::PrinterInfo;
use inkwire_protocol::transfer::{Layout, LayoutError};

use crate::limits::MAX_JOBS;
use crate::spool::Phase;
use crate::spool::reader::AttemptRow;

/// What is offered, and how things stand.
#[derive(Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) open: &'a Open,
    /// Every attempt of the job that the ledger knows.
    pub(crate) known: &'a [AttemptRow],
    /// Where a document that is partly here stands.
    pub(crate) partial: Option<Partial>,
    /// The printer of that number.
    pub(crate) printer: Option<&'a PrinterInfo>,
    /// Space that may still be used.
    pub(crate) room_bytes: u64,
    /// Undecided jobs.
    pub(crate) jobs: usize,
    /// Transfers that are open on this connection.
    pub(crate) transfers: usize,
}

/// A document that is partly here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partial {
    pub(crate) layout: Layout,
    pub(crate) next_seq: u32,
}

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Answer {
    /// Take it from the beginning.
    Take(Layout),
    /// Go on with what is here.
    Resume(Layout),
    /// Not (now).
    Refuse {
        reason: RefuseReason,
        detail: String,
        /// The attempt whose facts are told again.
        repeat: Option<Attempt>,
    },
    /// The message makes no sense: the broker is at fault.
    Violation(String),
}

fn refuse(reason: RefuseReason, detail: impl Into<String>) -> Answer {
    Answer::Refuse { reason, detail: detail.into(), repeat: None }
}

/// Decides.
pub(crate) fn answer(offer: &Offer<'_>) -> Answer {
    let open = offer.open;
    let layout = match Layout::new(open.bytes, open.packet_bytes) {
        Ok(layout) => layout,
        Err(error @ (LayoutError::PacketBytes(_) | LayoutError::TooManyPackets(_))) => {
            return Answer::Violation(error.to_string());
        }
    };
    if open.attempt.0 == 0 || open.qty == 0 {
        return Answer::Violation("`open` with attempt or qty 0".into());
    }
    if let Some(answer) = by_history(offer, layout) {
        return answer;
    }
    let Some(printer) = offer.printer else {
        return refuse(RefuseReason::NoSuchPrinter, format!("this agent has no printer {}", open.printer));
    };
    // A printer that could never be asked may take anything: it says so itself when it prints.
    if !printer.formats.is_empty() && !printer.takes(&open.format) {
        let takes = printer.formats.join(", ");
        return refuse(RefuseReason::Format, format!("{} takes {takes}, not {}", printer.name, open.format));
    }
    if open.next_seq != 0 {
        let detail = format!("packets before {} are not here any more", open.next_seq);
        return refuse(RefuseReason::SpoolDamaged, detail);
    }
    if offer.transfers >= MAX_OPEN_TRANSFERS || offer.jobs >= MAX_JOBS {
        let (jobs, transfers) = (offer.jobs, offer.transfers);
        return refuse(
            RefuseReason::Busy,
            format!("{jobs} jobs and {transfers} transfers are under way here"),
        );
    }
    if open.bytes > offer.room_bytes {
        let (bytes, room) = (open.bytes, offer.room_bytes);
        return refuse(RefuseReason::DiskFull, format!("{bytes} bytes need room, {room} are left"));
    }
    Answer::Take(layout)
}

/// What earlier attempts, or this one itself, have to say.
fn by_history(offer: &Offer<'_>, layout: Layout) -> Option<Answer> {
    let open = offer.open;
    let known = |attempt: Attempt| Answer::Refuse {
        reason: RefuseReason::Known,
        detail: format!("attempt {attempt} is known here"),
        repeat: Some(attempt),
    };
    let newest = offer.known.iter().max_by_key(|row| row.attempt)?;
    if newest.attempt > open.attempt {
        return Some(known(newest.attempt));
    }
    if newest.attempt == open.attempt {
        return Some(match (newest.phase, offer.partial) {
            (Phase::Receiving, Some(partial)) if partial.layout != layout => {
                Answer::Violation("`open` cuts a document otherwise than before".into())
            }
            (Phase::Receiving, Some(partial)) if open.next_seq > partial.next_seq => refuse(
                RefuseReason::SpoolDamaged,
                format!("{} packets are here, not {}", partial.next_seq, open.next_seq),
            ),
            (Phase::Receiving, Some(_)) => Answer::Resume(layout),
            (Phase::Receiving, None) if newest.begun => known(newest.attempt),
            (Phase::Receiving, None) => {
                refuse(RefuseReason::Busy, "the same attempt is just being put away here")
            }
            (Phase::Ready | Phase::Held | Phase::Ended, _) => known(newest.attempt),
        });
    }
    let begun = offer.known.iter().find(|row| row.begun && row.phase != Phase::Ended)?;
    Some(refuse(
        RefuseReason::EarlierAttempt,
        format!("attempt {} is with the device: wait for its outcome", begun.attempt),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::ids::{JobId, PrinterNumber, Sha256Digest, TransferId};
    use inkwire_protocol::printer::Backend;

    fn open(attempt: u32) -> Open {
        Open {
            transfer: TransferId(1),
            job: JobId::from_uuid(uuid::Uuid::from_u128(1)),
            attempt: Attempt(attempt),
            printer: PrinterNumber(1),
            bytes: 5000,
            packet_bytes: 1024,
            next_seq: 0,
            sha256: Sha256Digest::of(b""),
            format: "application/pdf".into(),
            title: String::new(),
            delivery: Default::default(),
            qty: 1,
            options: Default::default(),
            priority: 50,
            accepted_ms: 0,
            expires_ms: None,
            pacing_bytes_s: None,
        }
    }

    fn printer(formats: &[&str]) -> PrinterInfo {
        PrinterInfo {
            number: PrinterNumber(1),
            name: "office".into(),
            backend: Backend::Directory,
            make_and_model: None,
            location: None,
            formats: formats.iter().map(ToString::to_string).collect(),
            state: Default::default(),
            state_reasons: Vec::new(),
            state_message: None,
            capabilities: Default::default(),
            markers: Vec::new(),
            streams: false,
        }
    }

    fn ask(open: &Open, known: &[AttemptRow], partial: Option<u32>, room_bytes: u64) -> Answer {
        let printer = printer(&["application/pdf"]);
        let layout = Layout::new(5000, 1024).unwrap();
        let partial = partial.map(|next_seq| Partial { layout, next_seq });
        answer(&Offer { open, known, partial, printer: Some(&printer), room_bytes, jobs: 0, transfers: 0 })
    }

    fn row(attempt: u32, phase: Phase, begun: bool) -> AttemptRow {
        AttemptRow { attempt: Attempt(attempt), phase, begun }
    }

    #[allow(clippy::needless_pass_by_value, reason = "reads better where it is asked")]
    fn reason(answer: Answer) -> Option<RefuseReason> {
        match answer {
            Answer::Refuse { reason, detail: _, repeat: _ } => Some(reason),
            Answer::Take(_) | Answer::Resume(_) | Answer::Violation(_) => None,
        }
    }

    #[test]
    fn a_new_job_is_taken_if_there_is_room() {
        assert!(matches!(ask(&open(1), &[], None, 5000), Answer::Take(_)));
        assert_eq!(reason(ask(&open(1), &[], None, 4999)), Some(RefuseReason::DiskFull));
        let gone = Open { next_seq: 3, ..open(1) };
        assert_eq!(reason(ask(&gone, &[], None, 5000)), Some(RefuseReason::SpoolDamaged));
        assert!(matches!(ask(&Open { packet_bytes: 1, ..open(1) }, &[], None, 5000), Answer::Violation(_)));
    }

    #[test]
    fn what_is_known_is_never_taken_again() {
        for phase in [Phase::Ready, Phase::Held, Phase::Ended] {
            let answer = ask(&open(1), &[row(1, phase, false)], None, 5000);
            assert_eq!(reason(answer), Some(RefuseReason::Known), "{phase:?}");
            let answer = ask(&open(1), &[row(2, phase, false)], None, 5000);
            assert_eq!(reason(answer), Some(RefuseReason::Known), "later, {phase:?}");
        }
    }

    #[test]
    fn a_newer_attempt_waits_only_for_one_that_has_begun() {
        assert!(matches!(ask(&open(2), &[row(1, Phase::Ready, false)], None, 5000), Answer::Take(_)));
        assert!(matches!(ask(&open(2), &[row(1, Phase::Ended, true)], None, 5000), Answer::Take(_)));
        let answer = ask(&open(2), &[row(1, Phase::Ready, true)], None, 5000);
        assert_eq!(reason(answer), Some(RefuseReason::EarlierAttempt));
    }

    #[test]
    fn a_partial_document_goes_on_where_it_stands_even_on_a_full_disk() {
        let known = [row(1, Phase::Receiving, false)];
        let at = |next_seq| Open { next_seq, ..open(1) };
        assert!(matches!(ask(&at(3), &known, Some(3), 0), Answer::Resume(_)));
        assert!(matches!(ask(&at(0), &known, Some(3), 0), Answer::Resume(_)));
        assert_eq!(reason(ask(&at(4), &known, Some(3), 0)), Some(RefuseReason::SpoolDamaged));
        let otherwise = Open { packet_bytes: 2048, ..at(1) };
        assert!(matches!(ask(&otherwise, &known, Some(3), 0), Answer::Violation(_)));
    }

    #[test]
    fn printers_are_asked_for_number_and_format() {
        let open = open(1);
        let offer = |printer: Option<PrinterInfo>| {
            let printer = printer.as_ref();
            let offer = Offer {
                open: &open,
                known: &[],
                partial: None,
                printer,
                room_bytes: 5000,
                jobs: 0,
                transfers: 0,
            };
            answer(&offer)
        };
        assert_eq!(reason(offer(None)), Some(RefuseReason::NoSuchPrinter));
        assert_eq!(reason(offer(Some(printer(&["image/urf"])))), Some(RefuseReason::Format));
        assert_eq!(reason(offer(Some(printer(&[])))), None, "a printer that was never asked");
    }
}
