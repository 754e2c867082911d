//! Rows for tests.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test that gets something else fails and shows it")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use inkwire_protocol::app::Job;
use inkwire_protocol::ids::{
    AccountId, AgentId, Attempt, DocumentId, InstanceId, JobId, PrinterId, PrinterNumber, Sha256Digest,
    SpoolId,
};
use inkwire_protocol::job::State;
use inkwire_protocol::printer::{Backend, Delivery, JobOptions, OnUncertain, PrinterInfo};
use serde_json::{Value, json};
use uuid::Uuid;

use super::traits::*;
use super::{
    AccountRow, BeginSession, Begun, Change, JobRow, NewAgent, NewDocument, NewEvent, NewJob, Outcome,
    SqliteStore, Started,
};

/// An id that says which it is.
pub(crate) fn agent_id(n: u128) -> AgentId {
    AgentId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn account_id(n: u128) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn instance(n: u128) -> InstanceId {
    InstanceId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn spool(n: u128) -> SpoolId {
    SpoolId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn printer_info(number: u16, name: &str) -> PrinterInfo {
    serde_json::from_value(json!({
        "number": number, "name": name, "backend": Backend::Socket, "formats": ["application/octet-stream"],
    }))
    .unwrap()
}

pub(crate) fn hello(agent: AgentId, dial_n: u64) -> BeginSession {
    BeginSession {
        agent,
        dial_n,
        instance: instance(1),
        spool: spool(1),
        ledger_seq: 0,
        facts_acked: 0,
        receipt: None,
        presented: None,
        token: Sha256Digest::of(&dial_n.to_be_bytes()),
        hostname: "till".into(),
        os: "linux-x86_64".into(),
        version: "0.1.0".into(),
        observed_endpoint: SocketAddr::from(([203, 0, 113, 1], 40_000)),
        local_endpoint: None,
        printers: vec![printer_info(1, "labels"), printer_info(2, "office")],
        at_ms: 1000 + dial_n,
    }
}

/// A store with account 1 and agent 1, which has begun a session and is reconciled.
pub(crate) struct House {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) account: AccountId,
    pub(crate) agent: AgentId,
}

impl House {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let house = Self { store, folder, account: account_id(1), agent: agent_id(1) };
        house.add_account(1).await;
        house.add_agent(1, 1).await;
        house
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn add_account(&self, n: u128) {
        let row = AccountRow { id: account_id(n), name: format!("account-{n}"), created_ms: 1 };
        self.store.commit(vec![Change::CreateAccount(row)]).await.unwrap();
    }

    pub(crate) async fn add_agent(&self, account: u128, n: u128) {
        let mut public_key = [0; 32];
        public_key[..16].copy_from_slice(&n.to_be_bytes());
        let new = NewAgent {
            id: agent_id(n),
            account: Some(account_id(account)),
            enrolment: None,
            public_key,
            name: format!("agent-{n}"),
            hostname: "till".into(),
            os: "linux".into(),
            version: "0.1.0".into(),
            at_ms: 2,
        };
        self.store.commit(vec![Change::PairAgent(Box::new(new))]).await.unwrap();
    }

    pub(crate) async fn begin(&self, begin: BeginSession) -> Begun {
        let outcomes = self.store.commit(vec![Change::BeginSession(Box::new(begin))]).await.unwrap();
        match outcomes.into_iter().next() {
            Some(Outcome::Begun(begun)) => begun,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn started(&self, begin: BeginSession) -> Started {
        match self.begin(begin).await {
            Begun::Started(started) => *started,
            other => panic!("{other:?}"),
        }
    }

    /// A hello of an agent that this store, or a later copy of it, has acknowledged so many facts.
    pub(crate) async fn remembering(&self, facts_acked: u64, begin: BeginSession) -> BeginSession {
        let receipt = self.store.receipt(begin.agent, self.store.store_epoch(), facts_acked).await;
        BeginSession { facts_acked, receipt: Some(receipt), ..begin }
    }

    pub(crate) async fn reconcile(&self) {
        let store_epoch = self.store.store_epoch();
        let change = Change::Reconciled { agent: self.agent, store_epoch };
        self.store.commit(vec![change]).await.unwrap();
    }

    pub(crate) async fn create(&self, new: NewJob) -> JobRow {
        job_of(self.store.commit(vec![Change::CreateJob(Box::new(new))]).await.unwrap())
    }
}

pub(crate) fn job_of(outcomes: Vec<Outcome>) -> JobRow {
    outcomes
        .into_iter()
        .find_map(|outcome| match outcome {
            Outcome::Job(row) => Some(*row),
            _ => None,
        })
        .unwrap()
}

pub(crate) fn event(kind: &'static str) -> NewEvent {
    NewEvent { at_ms: 5, kind, job: None, agent: None, printer: None, data: Value::Null }
}

/// A pending label for a printer of agent 1.
pub(crate) fn label(account: AccountId, printer: PrinterId, content: &[u8]) -> NewJob {
    let row = JobRow {
        account,
        document: DocumentId::from_uuid(Uuid::now_v7()),
        packet_bytes: 0,
        hold: false,
        last_fact: None,
        corrupt: 0,
        job: Job {
            id: JobId::from_uuid(Uuid::now_v7()),
            number: 0,
            printer,
            agent: agent_id(1),
            printer_number: PrinterNumber(1),
            title: "label".into(),
            format: "application/vnd.zebra-zpl".into(),
            bytes: content.len() as u64,
            sha256: Some(Sha256Digest::of(content)),
            state: State::Pending,
            reason: None,
            witness: None,
            attempt: Attempt(0),
            may_print: false,
            request: None,
            received_bytes: 0,
            delivered_bytes: 0,
            qty: 1,
            delivery: Delivery::Spool,
            priority: 50,
            options: JobOptions::default(),
            warnings: vec![],
            on_uncertain: OnUncertain::Hold,
            tags: vec!["t".into()],
            idempotency_key: None,
            reprint_of: None,
            created_ms: 10,
            accepted_ms: Some(10),
            ended_ms: None,
            expires_ms: 1_000_000,
            rev: 0,
        },
    };
    let mut accepted = event("job.accepted");
    accepted.job = Some(row.job.id);
    NewJob {
        row,
        document: NewDocument::Inline(Bytes::copy_from_slice(content)),
        idempotency: None,
        events: vec![accepted],
    }
}
