//! The scenarios, each a file.

mod backlog;
mod cuts;
mod fan_out;
mod first_byte;
mod labels;
mod mixed;
mod poster;
mod sessions;
mod storm;

use std::future::Future;
use std::pin::Pin;

use anyhow::Result;

use crate::programs::Programs;
use crate::sheet::Sheet;

type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// One scenario.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: for<'a> fn(&'a Programs, &'a mut Sheet) -> Running<'a>,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "sessions",
        what: "what an idle session costs the server, fresh and after a document",
        run: |programs, sheet| Box::pin(sessions::run(programs, sheet)),
    },
    Scenario {
        name: "labels",
        what: "2 KiB jobs from many apps to many printers, durable at both ends",
        run: |programs, sheet| Box::pin(labels::run(programs, sheet)),
    },
    Scenario {
        name: "first-byte",
        what: "an idle system: from the submission to the first byte at the device",
        run: |programs, sheet| Box::pin(first_byte::run(programs, sheet)),
    },
    Scenario {
        name: "fan-out",
        what: "one account's events to a thousand followers",
        run: |programs, sheet| Box::pin(fan_out::run(programs, sheet)),
    },
    Scenario {
        name: "poster",
        what: "one large document, app to broker to agent's spool",
        run: |programs, sheet| Box::pin(poster::run(programs, sheet)),
    },
    Scenario {
        name: "mixed",
        what: "labels beside a poster to the same agent, on loopback and over a slow line",
        run: |programs, sheet| Box::pin(mixed::run(programs, sheet)),
    },
    Scenario {
        name: "storm",
        what: "everybody returns at once after the server was killed",
        run: |programs, sheet| Box::pin(storm::run(programs, sheet)),
    },
    Scenario {
        name: "cuts",
        what: "lines that are cut at random packets of documents",
        run: |programs, sheet| Box::pin(cuts::run(programs, sheet)),
    },
    Scenario {
        name: "backlog",
        what: "start and rate of a broker whose store has very many jobs",
        run: |programs, sheet| Box::pin(backlog::run(programs, sheet)),
    },
];
