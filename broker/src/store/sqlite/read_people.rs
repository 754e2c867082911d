//! Queries about accounts, people, keys, limits and the audit log.

use async_trait::async_trait;
use inkwire_protocol::app::{AccountLimits, AuditEntry, AuditList, Enrolment};
use inkwire_protocol::ids::{AccountId, AgentId, EnrolmentId, KeyId, LoginId, Sha256Digest, UserId};
use rusqlite::{Connection, Result, Row, params};
use serde_json::Value;
use uuid::Uuid;

use super::read::{all, one};
use super::{SqliteStore, map};
use crate::store::{AccountRow, KeyRow, LoginRow, ReadError, ReadPeople, UsageRow, UserRow};

#[async_trait]
impl ReadPeople for SqliteStore {
    async fn accounts(&self) -> std::result::Result<Vec<AccountRow>, ReadError> {
        self.readers.read(|db| all(db, "SELECT * FROM accounts ORDER BY name", [], map::account)).await
    }

    async fn account(&self, account: AccountId) -> std::result::Result<Option<AccountRow>, ReadError> {
        let sql = "SELECT * FROM accounts WHERE id = ?1";
        self.readers.read(move |db| one(db, sql, [account.uuid()], map::account)).await
    }

    async fn account_named(&self, name: &str) -> std::result::Result<Option<AccountRow>, ReadError> {
        let name = name.to_owned();
        self.readers
            .read(move |db| one(db, "SELECT * FROM accounts WHERE name = ?1", [name], map::account))
            .await
    }

    async fn users(&self, account: AccountId) -> std::result::Result<Vec<UserRow>, ReadError> {
        let sql = "SELECT * FROM users WHERE account = ?1 ORDER BY name";
        self.readers.read(move |db| all(db, sql, [account.uuid()], map::user)).await
    }

    async fn user(
        &self,
        account: AccountId,
        user: UserId,
    ) -> std::result::Result<Option<UserRow>, ReadError> {
        self.readers.read(move |db| user_of(db, account, user)).await
    }

    async fn user_named(
        &self,
        account: AccountId,
        name: &str,
    ) -> std::result::Result<Option<UserRow>, ReadError> {
        let name = name.to_owned();
        self.readers.read(move |db| user_named(db, account, &name)).await
    }

    async fn login_by_hash(&self, hash: Sha256Digest) -> std::result::Result<Option<LoginRow>, ReadError> {
        let sql = "SELECT * FROM logins WHERE hash = ?1";
        self.readers.read(move |db| one(db, sql, [hash.as_bytes()], map::login)).await
    }

    async fn login(&self, login: LoginId) -> std::result::Result<Option<LoginRow>, ReadError> {
        let sql = "SELECT * FROM logins WHERE id = ?1";
        self.readers.read(move |db| one(db, sql, [login.uuid()], map::login)).await
    }

    async fn keys(
        &self,
        account: AccountId,
        before: Option<KeyId>,
        limit: u32,
    ) -> std::result::Result<Vec<KeyRow>, ReadError> {
        self.readers.read(move |db| keys(db, account, before, limit)).await
    }

    async fn key(&self, account: AccountId, key: KeyId) -> std::result::Result<Option<KeyRow>, ReadError> {
        let sql = "SELECT * FROM api_keys WHERE id = ?1 AND account = ?2";
        self.readers.read(move |db| one(db, sql, [key.uuid(), account.uuid()], map::key)).await
    }

    async fn key_by_hash(&self, hash: Sha256Digest) -> std::result::Result<Option<KeyRow>, ReadError> {
        let sql = "SELECT * FROM api_keys WHERE hash = ?1";
        self.readers.read(move |db| one(db, sql, [hash.as_bytes()], map::key)).await
    }

    async fn enrolments(
        &self,
        account: AccountId,
        limit: u32,
    ) -> std::result::Result<Vec<Enrolment>, ReadError> {
        self.readers.read(move |db| enrolments(db, account, limit)).await
    }

    async fn account_limits(&self, account: AccountId) -> std::result::Result<AccountLimits, ReadError> {
        self.readers.read(move |db| limits(db, account)).await
    }

    async fn usage(&self, account: AccountId, now_ms: u64) -> std::result::Result<UsageRow, ReadError> {
        self.readers.read(move |db| usage(db, account, now_ms)).await
    }

    async fn audit(
        &self,
        account: AccountId,
        filter: &AuditList,
    ) -> std::result::Result<Vec<AuditEntry>, ReadError> {
        let filter = filter.clone();
        self.readers.read(move |db| audit(db, account, &filter)).await
    }
}

pub(super) fn user_of(db: &Connection, account: AccountId, user: UserId) -> Result<Option<UserRow>> {
    let sql = "SELECT * FROM users WHERE id = ?1 AND account = ?2";
    one(db, sql, [user.uuid(), account.uuid()], map::user)
}

pub(super) fn user_named(db: &Connection, account: AccountId, name: &str) -> Result<Option<UserRow>> {
    let sql = "SELECT * FROM users WHERE account = ?1 AND name = ?2";
    one(db, sql, params![account.uuid(), name], map::user)
}

/// Ids are of version 7, so that they stand in the order in which they were made.
pub(super) fn keys(
    db: &Connection,
    account: AccountId,
    before: Option<KeyId>,
    limit: u32,
) -> Result<Vec<KeyRow>> {
    let sql = "SELECT * FROM api_keys WHERE account = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
    let before = before.map_or(Uuid::max(), |id| id.uuid());
    all(db, sql, params![account.uuid(), before, limit], map::key)
}

pub(super) fn enrolments(db: &Connection, account: AccountId, limit: u32) -> Result<Vec<Enrolment>> {
    let sql = "SELECT * FROM enrolments WHERE account = ?1 ORDER BY created_ms DESC, id DESC LIMIT ?2";
    all(db, sql, params![account.uuid(), limit], enrolment)
}

fn enrolment(row: &Row<'_>) -> Result<Enrolment> {
    Ok(Enrolment {
        id: EnrolmentId::from_uuid(map::uuid(row, "id")?),
        created_ms: row.get("created_ms")?,
        expires_ms: row.get("expires_ms")?,
        used_by: row.get::<_, Option<Uuid>>("used_by")?.map(AgentId::from_uuid),
    })
}

pub(super) fn limits(db: &Connection, account: AccountId) -> Result<AccountLimits> {
    let sql = "SELECT limits FROM account_limits WHERE account = ?1";
    let found = one(db, sql, [account.uuid()], |row| row.get::<_, String>(0))?;
    found.map_or(Ok(AccountLimits::default()), |text| map::from_json("limits", &text))
}

pub(super) fn usage(db: &Connection, account: AccountId, now_ms: u64) -> Result<UsageRow> {
    let sql = "SELECT stored_bytes, day, jobs_today,
            (SELECT count(*) FROM api_keys WHERE account = ?1 AND revoked_ms IS NULL
                AND (expires_ms IS NULL OR expires_ms > ?2)) AS keys,
            (SELECT count(*) FROM users WHERE account = ?1) AS users
         FROM account_usage WHERE account = ?1";
    let read = |row: &Row<'_>| {
        Ok(UsageRow {
            stored_bytes: row.get("stored_bytes")?,
            day: row.get("day")?,
            jobs_today: row.get("jobs_today")?,
            keys: row.get("keys")?,
            users: row.get("users")?,
        })
    };
    Ok(one(db, sql, params![account.uuid(), now_ms], read)?.unwrap_or_default())
}

pub(super) fn audit(db: &Connection, account: AccountId, filter: &AuditList) -> Result<Vec<AuditEntry>> {
    let sql = "SELECT * FROM audit WHERE account = ?1 AND seq < ?2
            AND (?3 IS NULL OR substr(action, 1, length(?3)) = ?3) AND (?4 IS NULL OR who = ?4)
         ORDER BY seq DESC LIMIT ?5";
    let before = filter.before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    let values = params![account.uuid(), before, filter.action, filter.who, filter.limit.unwrap_or(50)];
    all(db, sql, values, audit_entry)
}

fn audit_entry(row: &Row<'_>) -> Result<AuditEntry> {
    let detail: Option<String> = row.get("detail")?;
    Ok(AuditEntry {
        seq: row.get("seq")?,
        at_ms: row.get("at_ms")?,
        who: row.get("who")?,
        who_name: row.get("who_name")?,
        address: map::parse("address", row.get("address")?)?,
        action: row.get("action")?,
        target: row.get("target")?,
        detail: detail.map_or(Ok(Value::Null), |text| map::from_json("detail", &text))?,
    })
}
