//! Queries about agents, their sessions, and printers.

use async_trait::async_trait;
use inkwire_protocol::app::{EndpointChange, Session};
use inkwire_protocol::ids::{AccountId, AgentId, PrinterId};
use rusqlite::{Connection, params};

use super::read::{all, one};
use super::{SqliteStore, map, summary};
use crate::store::{AgentRow, PrinterRow, ReadAgents, ReadError};

const PRINTERS: &str = "SELECT p.*, a.name AS agent_name,
    (SELECT count(*) FROM jobs j WHERE j.printer = p.id AND j.ended_ms IS NULL) AS queued, s.settings
    FROM printers p JOIN agents a ON a.id = p.agent LEFT JOIN printer_settings s ON s.printer = p.id";

#[async_trait]
impl ReadAgents for SqliteStore {
    async fn agents(&self, account: AccountId) -> std::result::Result<Vec<AgentRow>, ReadError> {
        let sql = "SELECT * FROM agents WHERE account = ?1 ORDER BY name, id";
        self.readers.read(move |db| all(db, sql, [account.uuid()], map::agent)).await
    }

    async fn agent(
        &self,
        account: AccountId,
        agent: AgentId,
    ) -> std::result::Result<Option<AgentRow>, ReadError> {
        let sql = "SELECT * FROM agents WHERE id = ?1 AND account = ?2";
        self.readers.read(move |db| one(db, sql, [agent.uuid(), account.uuid()], map::agent)).await
    }

    async fn dialling_agent(&self, agent: AgentId) -> std::result::Result<Option<AgentRow>, ReadError> {
        let sql = "SELECT * FROM agents WHERE id = ?1";
        self.readers.read(move |db| one(db, sql, [agent.uuid()], map::agent)).await
    }

    async fn endpoint_changes(
        &self,
        account: AccountId,
        agent: AgentId,
        limit: u32,
    ) -> std::result::Result<Vec<EndpointChange>, ReadError> {
        let sql =
            "SELECT * FROM endpoint_changes WHERE agent = ?1 AND account = ?2 ORDER BY epoch DESC LIMIT ?3";
        let values = move |db: &Connection| {
            all(db, sql, params![agent.uuid(), account.uuid(), limit], map::endpoint_change)
        };
        self.readers.read(values).await
    }

    async fn sessions(
        &self,
        account: AccountId,
        agent: AgentId,
        before: Option<u64>,
        limit: u32,
    ) -> std::result::Result<Vec<Session>, ReadError> {
        let sql = "SELECT s.*, iif(a.online, a.epoch, NULL) AS current
             FROM agent_sessions s JOIN agents a ON a.id = s.agent
             WHERE s.agent = ?1 AND s.account = ?2 AND s.epoch < ?3 ORDER BY s.epoch DESC LIMIT ?4";
        let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
        let query = move |db: &Connection| {
            all(db, sql, params![agent.uuid(), account.uuid(), before, limit], map::session)
        };
        self.readers.read(query).await
    }

    async fn absences(
        &self,
        account: AccountId,
        started_ms: u64,
    ) -> std::result::Result<Vec<(AgentId, u64, Option<u64>)>, ReadError> {
        self.readers.read(move |db| summary::absences(db, account, started_ms)).await
    }

    async fn printers(&self, account: AccountId) -> std::result::Result<Vec<PrinterRow>, ReadError> {
        self.readers
            .read(move |db| {
                let sql = format!(
                    "{PRINTERS} WHERE p.account = ?1 ORDER BY a.name, p.agent, p.number, p.present DESC"
                );
                all(db, &sql, [account.uuid()], map::printer)
            })
            .await
    }

    async fn printer(
        &self,
        account: AccountId,
        printer: PrinterId,
    ) -> std::result::Result<Option<PrinterRow>, ReadError> {
        self.readers
            .read(move |db| {
                let sql = format!("{PRINTERS} WHERE p.id = ?1 AND p.account = ?2");
                one(db, &sql, [printer.uuid(), account.uuid()], map::printer)
            })
            .await
    }

    async fn printers_meant(
        &self,
        account: AccountId,
        wanted: &str,
    ) -> std::result::Result<Vec<PrinterRow>, ReadError> {
        let version = match self.shared.addressed.get(account, wanted) {
            Ok(found) => return Ok(found),
            Err(version) => version,
        };
        let found = match wanted.parse::<PrinterId>() {
            Ok(id) => self.printer(account, id).await?.into_iter().collect(),
            Err(_) => {
                let name = wanted.to_owned();
                let sql =
                    format!("{PRINTERS} WHERE p.account = ?1 AND p.name = ?2 ORDER BY p.present DESC, p.id");
                self.readers
                    .read(move |db| all(db, &sql, params![account.uuid(), name], map::printer))
                    .await?
            }
        };
        self.shared.addressed.remember(version, account, wanted, &found);
        Ok(found)
    }

    async fn agent_printers(&self, agent: AgentId) -> std::result::Result<Vec<PrinterRow>, ReadError> {
        self.readers
            .read(move |db| {
                let sql = format!("{PRINTERS} WHERE p.agent = ?1 ORDER BY p.number");
                all(db, &sql, [agent.uuid()], map::printer)
            })
            .await
    }
}
