//! Rows of SQLite to rows of the store, and back.

use std::str::FromStr;

use inkwire_protocol::app::{EndpointChange, Job, PrinterSettings, Reason, Session};
use inkwire_protocol::ids::{
    AccountId, AgentId, Attempt, DocumentId, Epoch, FactSeq, JobId, KeyId, LoginId, PrinterId, PrinterNumber,
    Sha256Digest, SpoolId, StoreEpoch, UserId,
};
use inkwire_protocol::job::State;
use inkwire_protocol::printer::{Delivery, JobOptions, OnUncertain, PrinterInfo};
use rusqlite::types::Type;
use rusqlite::{Error, Result, Row};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::rows::{
    AccountRow, AgentRow, DocumentContent, JobRow, KeyRow, LoginRow, PasswordHash, PrinterRow, UserRow,
};

/// A value in the store that this version cannot read: the store is damaged, or not ours.
pub(super) fn unreadable(column: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    tracing::error!(column, %error, "the store holds a value that cannot be read");
    Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}

/// A keyword type (kebab-case in serde) as text.
pub(super) fn keyword<T: Serialize>(value: &T) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => Ok(text),
        Ok(other) => Ok(other.to_string()),
        Err(error) => Err(unreadable("keyword", error)),
    }
}

pub(super) fn from_keyword<T: DeserializeOwned>(column: &str, text: String) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(text)).map_err(|error| unreadable(column, error))
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| unreadable("json", error))
}

pub(super) fn from_json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(column, error))
}

pub(super) fn parse<T: FromStr>(column: &str, text: Option<String>) -> Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.map(|text| text.parse().map_err(|error| unreadable(column, error))).transpose()
}

fn digest(row: &Row<'_>, column: &str) -> Result<Sha256Digest> {
    Ok(Sha256Digest::from_bytes(row.get(column)?))
}

fn digest_opt(row: &Row<'_>, column: &str) -> Result<Option<Sha256Digest>> {
    Ok(row.get::<_, Option<[u8; 32]>>(column)?.map(Sha256Digest::from_bytes))
}

pub(super) fn uuid(row: &Row<'_>, column: &str) -> Result<Uuid> {
    row.get(column)
}

pub(super) fn account(row: &Row<'_>) -> Result<AccountRow> {
    Ok(AccountRow {
        id: AccountId::from_uuid(uuid(row, "id")?),
        name: row.get("name")?,
        created_ms: row.get("created_ms")?,
    })
}

pub(super) fn user(row: &Row<'_>) -> Result<UserRow> {
    Ok(UserRow {
        id: UserId::from_uuid(uuid(row, "id")?),
        account: AccountId::from_uuid(uuid(row, "account")?),
        name: row.get("name")?,
        role: from_keyword("role", row.get("role")?)?,
        password: row.get::<_, Option<String>>("password")?.map(PasswordHash),
        disabled: row.get("disabled")?,
        created_ms: row.get("created_ms")?,
        last_sign_in_ms: row.get("last_sign_in_ms")?,
    })
}

pub(super) fn login(row: &Row<'_>) -> Result<LoginRow> {
    Ok(LoginRow {
        id: LoginId::from_uuid(uuid(row, "id")?),
        hash: digest(row, "hash")?,
        account: AccountId::from_uuid(uuid(row, "account")?),
        user: UserId::from_uuid(uuid(row, "user")?),
        created_ms: row.get("created_ms")?,
        last_used_ms: row.get("last_used_ms")?,
        expires_ms: row.get("expires_ms")?,
    })
}

pub(super) fn key(row: &Row<'_>) -> Result<KeyRow> {
    Ok(KeyRow {
        id: KeyId::from_uuid(uuid(row, "id")?),
        account: AccountId::from_uuid(uuid(row, "account")?),
        name: row.get("name")?,
        hash: digest(row, "hash")?,
        scope: from_keyword("scope", row.get("scope")?)?,
        created_ms: row.get("created_ms")?,
        expires_ms: row.get("expires_ms")?,
        revoked_ms: row.get("revoked_ms")?,
        last_used_ms: row.get("last_used_ms")?,
        user: row.get::<_, Option<Uuid>>("user")?.map(UserId::from_uuid),
    })
}

pub(super) fn agent(row: &Row<'_>) -> Result<AgentRow> {
    Ok(AgentRow {
        id: AgentId::from_uuid(uuid(row, "id")?),
        account: AccountId::from_uuid(uuid(row, "account")?),
        public_key: row.get("public_key")?,
        name: row.get("name")?,
        hostname: row.get("hostname")?,
        os: row.get("os")?,
        version: row.get("version")?,
        dial_n: row.get("dial_n")?,
        epoch: Epoch(row.get("epoch")?),
        token: digest_opt(row, "token")?,
        instances: from_json("instances", &row.get::<_, String>("instances")?)?,
        spool: row.get::<_, Option<Uuid>>("spool")?.map(SpoolId::from_uuid),
        ledger_seq: row.get("ledger_seq")?,
        facts_acked: row.get("facts_acked")?,
        reconciled: row.get::<_, Option<Uuid>>("reconciled")?.map(StoreEpoch::from_uuid),
        spool_lost: row.get("spool_lost")?,
        clone: row.get("clone")?,
        revoked_ms: row.get("revoked_ms")?,
        observed_endpoint: parse("observed_endpoint", row.get("observed_endpoint")?)?,
        local_endpoint: parse("local_endpoint", row.get("local_endpoint")?)?,
        online: row.get("online")?,
        connected_ms: row.get("connected_ms")?,
        last_seen_ms: row.get("last_seen_ms")?,
        created_ms: row.get("created_ms")?,
    })
}

pub(super) fn printer(row: &Row<'_>) -> Result<PrinterRow> {
    Ok(PrinterRow {
        id: PrinterId::from_uuid(uuid(row, "id")?),
        account: AccountId::from_uuid(uuid(row, "account")?),
        agent: AgentId::from_uuid(uuid(row, "agent")?),
        agent_name: row.get("agent_name")?,
        name: row.get("name")?,
        info: from_json::<PrinterInfo>("info", row.get_ref("info")?.as_str()?)?,
        present: row.get("present")?,
        queued_jobs: row.get("queued")?,
        settings: match row.get_ref("settings")?.as_str_or_null()? {
            Some(text) => from_json("settings", text)?,
            None => PrinterSettings::default(),
        },
    })
}

/// What the app asked for: one column, because it never changes and nothing is looked up by it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    title: String,
    format: String,
    qty: u32,
    delivery: Delivery,
    options: JobOptions,
    warnings: Vec<String>,
    on_uncertain: OnUncertain,
    tags: Vec<String>,
    idempotency_key: Option<String>,
    reprint_of: Option<JobId>,
}

impl Spec {
    pub(super) fn of(job: &Job) -> Self {
        Self {
            title: job.title.clone(),
            format: job.format.clone(),
            qty: job.qty,
            delivery: job.delivery,
            options: job.options.clone(),
            warnings: job.warnings.clone(),
            on_uncertain: job.on_uncertain,
            tags: job.tags.clone(),
            idempotency_key: job.idempotency_key.clone(),
            reprint_of: job.reprint_of,
        }
    }
}

pub(super) fn job(row: &Row<'_>) -> Result<JobRow> {
    let spec: Spec = from_json("spec", row.get_ref("spec")?.as_str()?)?;
    let state: String = row.get("state")?;
    let reason: Option<String> = row.get("reason")?;
    let fact: (Option<u32>, Option<u32>) = (row.get("fact_attempt")?, row.get("fact_seq")?);
    Ok(JobRow {
        account: AccountId::from_uuid(uuid(row, "account")?),
        document: DocumentId::from_uuid(uuid(row, "document")?),
        packet_bytes: row.get("packet_bytes")?,
        hold: row.get("hold")?,
        last_fact: fact.0.zip(fact.1).map(|(attempt, seq)| (Attempt(attempt), FactSeq(seq))),
        corrupt: row.get("corrupt")?,
        job: Job {
            id: JobId::from_uuid(uuid(row, "id")?),
            number: row.get("number")?,
            printer: PrinterId::from_uuid(uuid(row, "printer")?),
            agent: AgentId::from_uuid(uuid(row, "agent")?),
            printer_number: PrinterNumber(row.get("printer_number")?),
            title: spec.title,
            format: spec.format,
            bytes: row.get("bytes")?,
            sha256: digest_opt(row, "sha256")?,
            state: State::from_keyword(&state)
                .ok_or_else(|| unreadable("state", std::io::Error::other(state)))?,
            reason: reason.map(|text| from_json::<Reason>("reason", &text)).transpose()?,
            witness: opt_keyword(row, "witness")?,
            attempt: Attempt(row.get("attempt")?),
            may_print: row.get("may_print")?,
            request: opt_keyword(row, "request")?,
            received_bytes: row.get("received")?,
            delivered_bytes: row.get("delivered")?,
            qty: spec.qty,
            delivery: spec.delivery,
            priority: row.get("priority")?,
            options: spec.options,
            warnings: spec.warnings,
            on_uncertain: spec.on_uncertain,
            tags: spec.tags,
            idempotency_key: spec.idempotency_key,
            reprint_of: spec.reprint_of,
            created_ms: row.get("created_ms")?,
            accepted_ms: row.get("accepted_ms")?,
            ended_ms: row.get("ended_ms")?,
            expires_ms: row.get("expires_ms")?,
            rev: row.get("rev")?,
        },
    })
}

fn opt_keyword<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<Option<T>> {
    row.get::<_, Option<String>>(column)?.map(|text| from_keyword(column, text)).transpose()
}

pub(super) fn endpoint_change(row: &Row<'_>) -> Result<EndpointChange> {
    let to: String = row.get("to_endpoint")?;
    Ok(EndpointChange {
        at_ms: row.get("at_ms")?,
        from: parse("from_endpoint", row.get("from_endpoint")?)?,
        to: to.parse().map_err(|error| unreadable("to_endpoint", error))?,
        epoch: Epoch(row.get("epoch")?),
    })
}

/// A session; `current` is the agent's epoch where its session has not been seen to end.
pub(super) fn session(row: &Row<'_>) -> Result<Session> {
    let observed: String = row.get("observed_endpoint")?;
    let (epoch, ended_ms): (u64, Option<u64>) = (row.get("epoch")?, row.get("ended_ms")?);
    Ok(Session {
        epoch: Epoch(epoch),
        began_ms: row.get("began_ms")?,
        ended_ms,
        end: row.get("end_reason")?,
        live: ended_ms.is_none() && row.get::<_, Option<u64>>("current")? == Some(epoch),
        observed_endpoint: observed.parse().map_err(|error| unreadable("observed_endpoint", error))?,
        local_endpoint: parse("local_endpoint", row.get("local_endpoint")?)?,
        version: row.get("version")?,
    })
}

/// Where a document's bytes are, from its `kind` and `content`; a missing row has neither.
pub(super) fn content(row: &Row<'_>) -> Result<DocumentContent> {
    Ok(match row.get::<_, Option<u8>>("kind")? {
        Some(1) => {
            DocumentContent::Inline(row.get::<_, Option<Vec<u8>>>("content")?.unwrap_or_default().into())
        }
        Some(2) => DocumentContent::File,
        Some(_) | None => DocumentContent::Absent,
    })
}
