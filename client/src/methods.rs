//! Methods as types: which parameters belong to which answer is checked by the compiler.

use inkwire_protocol::app::{self, method};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A method of the app API, for [`crate::Client::request`].
///
/// Implement it for a method that this library does not know yet.
pub trait Method {
    /// Its name, such as `jobs.get`.
    const NAME: &'static str;
    /// Whether asking twice is as good as asking once. Then it is asked again by itself where a lost connection took its answer away.
    const REPEATABLE: bool;
    /// What it takes.
    type Params: Serialize + Sync + ?Sized;
    /// What it answers.
    type Answer: DeserializeOwned;
}

/// Parameters of methods that take none.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Nothing {}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $method:path, $repeatable:literal, $params:ty => $answer:ty;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}

        impl Method for $name {
            const NAME: &'static str = $method;
            const REPEATABLE: bool = $repeatable;
            type Params = $params;
            type Answer = $answer;
        }
    )*};
}

methods! {
    /// Who the key speaks for.
    WhoAmI = method::ME, true, Nothing => app::Me;
    /// All agents.
    AgentsList = method::AGENTS_LIST, true, Nothing => app::Agents;
    /// One agent with its endpoints.
    AgentsGet = method::AGENTS_GET, true, app::AgentRef => app::Agent;
    /// All printers.
    PrintersList = method::PRINTERS_LIST, true, Nothing => app::Printers;
    /// One job with its history.
    JobsGet = method::JOBS_GET, true, app::JobRef => app::JobDetail;
    /// A page of jobs.
    JobsList = method::JOBS_LIST, true, app::JobList => app::Jobs;
    /// Cancels a job.
    JobsCancel = method::JOBS_CANCEL, true, app::JobRef => app::Job;
    /// Holds a job.
    JobsHold = method::JOBS_HOLD, true, app::JobRef => app::Job;
    /// Releases a job.
    JobsRelease = method::JOBS_RELEASE, true, app::JobRef => app::Job;
    /// Decides an uncertain job; a second `reprint` might print twice, so it is asked once.
    JobsDecide = method::JOBS_DECIDE, false, app::JobDecide => app::Job;
    /// What waits under a pairing code.
    PairingsShow = method::PAIRINGS_SHOW, true, app::PairingCode => app::PendingPairing;
    /// Approves a pairing.
    PairingsApprove = method::PAIRINGS_APPROVE, false, app::ApprovePairing => app::Agent;
}
