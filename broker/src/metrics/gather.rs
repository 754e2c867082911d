//! From the counters of all rooms to families. docs/metrics.md lists them; a test holds both against each other.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::exposition::{Family, Number, Samples, Values, render};
use super::process;
use crate::api::Api;
use crate::store::{Census, Depth, ReadError};

/// What is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) api: Arc<Api>,
}

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatherError {
    #[error(transparent)]
    Store(#[from] ReadError),
    #[error("the free space cannot be asked for: {0}")]
    Disk(#[from] std::io::Error),
    #[error("the metrics cannot be written")]
    Format(#[from] std::fmt::Error),
}

fn gauge(name: &'static str, help: &'static str, value: u64) -> Family {
    Family { name, help, samples: Samples::Gauge(Values::One(Number::Whole(value))) }
}

fn gauges(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: impl IntoIterator<Item = (&'static str, u64)>,
) -> Family {
    Family { name, help, samples: Samples::Gauge(Values::By(label, values.into_iter().collect())) }
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Family {
    Family { name, help, samples: Samples::Counter(Values::One(Number::Whole(value))) }
}

fn counters(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: impl IntoIterator<Item = (&'static str, u64)>,
) -> Family {
    Family { name, help, samples: Samples::Counter(Values::By(label, values.into_iter().collect())) }
}

impl Watched {
    /// Everything, as OpenMetrics text.
    pub(super) async fn text(&self) -> Result<String, GatherError> {
        let census = self.api.store.census().await?;
        let version = Samples::Info("version", crate::VERSION.to_owned());
        let mut families =
            vec![Family { name: "inkwire_build", help: "The broker's version", samples: version }];
        families.extend(self.agents(&census));
        families.extend(self.connections());
        families.extend(self.transfers());
        families.extend(self.jobs(&census));
        families.extend(self.store()?);
        families.extend(process::families());
        Ok(render(families)?)
    }

    fn agents(&self, census: &Census) -> [Family; 4] {
        let sessions = &self.api.sessions;
        let live = sessions.registry.all();
        let silent =
            live.iter().filter(|(_, handle)| handle.live.silent.load(Ordering::Relaxed)).count() as u64;
        let live = live.len() as u64;
        let kept_out = census.clones + census.revoked;
        let by_status = [
            ("online", live - silent),
            ("silent", silent),
            ("offline", census.agents.saturating_sub(live + kept_out)),
            ("clone", census.clones),
            ("revoked", census.revoked),
        ];
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        [
            gauges("inkwire_agents", "Paired agents by status", "status", by_status),
            counter(
                "inkwire_sessions_begun",
                "Sessions that agents have begun",
                count(&sessions.counters.sessions_begun),
            ),
            counter(
                "inkwire_endpoint_changes",
                "Sessions that began at another public endpoint than the agent's one before",
                count(&sessions.counters.endpoint_changes),
            ),
            counters(
                "inkwire_suspicions",
                "What agents said that does not fit what the broker knows",
                "kind",
                sessions.counters.suspicions(),
            ),
        ]
    }

    fn connections(&self) -> [Family; 5] {
        let counters_ = &self.api.sessions.counters;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let refused = [
            ("dial-refused", count(&counters_.dials_refused)),
            ("handshake-failed", count(&counters_.handshakes_failed)),
            ("address-full", count(&counters_.addresses_full)),
        ];
        [
            gauge("inkwire_app_connections", "WebSockets of apps that are open", count(&counters_.apps)),
            counters(
                "inkwire_connections_refused",
                "Connections that ended before they were anybody's",
                "cause",
                refused,
            ),
            counters(
                "inkwire_connections_closed",
                "WebSockets of agents and apps that were closed, by the close code's name",
                "cause",
                counters_.every_close(),
            ),
            counters(
                "inkwire_requests",
                "Calls of API methods, by either door",
                "method",
                self.api.calls.all(),
            ),
            counters(
                "inkwire_problems",
                "Calls that were refused, by the problem's keyword",
                "problem",
                counters_.every_problem(),
            ),
        ]
    }

    fn transfers(&self) -> [Family; 5] {
        let delivery = &self.api.sessions.counters.delivery;
        let upload = self.api.underway.leg();
        let legs = |of: fn(&crate::sessions::traffic::Leg) -> u64| {
            [("upload", of(upload)), ("delivery", of(delivery))]
        };
        [
            gauges(
                "inkwire_transfers_open",
                "Documents that are on their way in packets",
                "leg",
                legs(crate::sessions::traffic::Leg::open),
            ),
            counters(
                "inkwire_packets",
                "Packets taken from apps (upload) and given to agents' sockets (delivery)",
                "leg",
                legs(crate::sessions::traffic::Leg::packets),
            ),
            counter(
                "inkwire_packets_sent_twice",
                "Packets that were sent to an agent before a cut and had to be sent again after it",
                self.api.jobs.counts().packets_sent_twice(),
            ),
            counters(
                "inkwire_acks",
                "Acks sent to apps (upload) and taken from agents (delivery)",
                "leg",
                legs(crate::sessions::traffic::Leg::acks),
            ),
            counters(
                "inkwire_document_bytes",
                "Bytes of documents, without headers",
                "leg",
                legs(crate::sessions::traffic::Leg::bytes),
            ),
        ]
    }

    fn jobs(&self, census: &Census) -> [Family; 2] {
        let unended = census.jobs.iter().map(|(state, count)| (state.keyword(), *count));
        let entered = self.api.jobs.counts().transitions();
        let entered = entered.into_iter().map(|(state, count)| (state.keyword(), count));
        [
            gauges("inkwire_jobs", "Jobs that have not ended, by state", "state", unended),
            counters("inkwire_job_transitions", "Jobs that came into a state", "state", entered),
        ]
    }

    fn store(&self) -> Result<Vec<Family>, GatherError> {
        let queues = [
            ("store", self.api.store.queue()),
            ("jobs", self.api.jobs.queue()),
            ("session-events", Depth::of(&self.api.sessions.events)),
        ];
        let depths = queues.map(|(name, depth)| (name, depth.waiting as u64));
        let capacities = queues.map(|(name, depth)| (name, depth.capacity as u64));
        let meters = self.api.store.meters();
        let disk = self.api.jobs.disk()?;
        let histogram = |name, help, histogram: &prometheus_client::metrics::histogram::Histogram| Family {
            name,
            help,
            samples: Samples::Histogram(histogram.clone()),
        };
        Ok(vec![
            histogram("inkwire_commit_seconds", "Time to write and commit one group", &meters.commit_seconds),
            histogram("inkwire_commit_callers", "Callers that shared one commit", &meters.commit_callers),
            gauges("inkwire_queue_depth", "What waits in the broker's queues", "queue", depths),
            gauges("inkwire_queue_capacity", "What may wait in them", "queue", capacities),
            gauge("inkwire_documents_free_bytes", "Free space where documents are kept", disk.free_bytes),
            gauge(
                "inkwire_documents_reserved_bytes",
                "Uploads that would leave less free space than this are refused",
                disk.reserved_bytes,
            ),
            gauge("inkwire_documents_disk_bytes", "Size of that file system", disk.total_bytes),
        ])
    }
}
