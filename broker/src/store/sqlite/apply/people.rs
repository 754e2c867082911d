//! Accounts, users, keys and one-time tokens.

use inkwire_protocol::app::AccountLimits;
use inkwire_protocol::ids::{AccountId, EnrolmentId, KeyId, Sha256Digest, UserId};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use super::super::map;
use super::Fail;
use crate::store::{AccountRow, CommitError, KeyRow, NewAudit, Outcome, UserRow};

/// Says `Exists` where a unique name or key is taken, and `NotFound` where a parent is missing.
pub(super) fn inserted(
    result: rusqlite::Result<usize>,
    what: &'static str,
    parent: &'static str,
) -> Result<Outcome, Fail> {
    use rusqlite::ffi::{
        SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE,
    };
    match result {
        Ok(_) => Ok(Outcome::Done),
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::ConstraintViolation => {
            Err(match error.extended_code {
                SQLITE_CONSTRAINT_FOREIGNKEY => CommitError::NotFound(parent).into(),
                SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY => CommitError::Exists(what).into(),
                _ => Fail::Sql(rusqlite::Error::SqliteFailure(error, None)),
            })
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn create_account(db: &Connection, row: &AccountRow) -> Result<Outcome, Fail> {
    let mut insert = db.prepare_cached("INSERT INTO accounts (id, name, created_ms) VALUES (?1, ?2, ?3)")?;
    inserted(insert.execute(params![row.id.uuid(), row.name, row.created_ms]), "an account", "account")
}

pub(super) fn create_user(db: &Connection, row: &UserRow) -> Result<Outcome, Fail> {
    let role = map::keyword(&row.role)?;
    let mut insert = db.prepare_cached(
        "INSERT INTO users (id, account, name, role, created_ms, password, disabled)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let password = row.password.as_ref().map(|hash| &hash.0);
    let values =
        params![row.id.uuid(), row.account.uuid(), row.name, role, row.created_ms, password, row.disabled];
    inserted(insert.execute(values), "a user", "account")
}

pub(super) fn create_sign_in(
    db: &Connection,
    user: UserId,
    hash: Sha256Digest,
    expires_ms: u64,
) -> Result<Outcome, Fail> {
    let mut insert =
        db.prepare_cached("INSERT INTO sign_ins (hash, user, expires_ms) VALUES (?1, ?2, ?3)")?;
    inserted(insert.execute(params![hash.as_bytes(), user.uuid(), expires_ms]), "a link", "user")
}

pub(super) fn use_sign_in(db: &Connection, hash: Sha256Digest, at_ms: u64) -> Result<Outcome, Fail> {
    let user = db
        .prepare_cached(
            "SELECT u.* FROM sign_ins s JOIN users u ON u.id = s.user
             WHERE s.hash = ?1 AND s.expires_ms > ?2 AND u.disabled = 0",
        )?
        .query_row(params![hash.as_bytes(), at_ms], map::user)
        .optional()?;
    // Used or over: either way it is gone, and with it everything that is over.
    db.prepare_cached("DELETE FROM sign_ins WHERE hash = ?1 OR expires_ms <= ?2")?
        .execute(params![hash.as_bytes(), at_ms])?;
    match user {
        Some(user) => Ok(Outcome::User(Box::new(user))),
        None => Err(CommitError::NotFound("sign-in link").into()),
    }
}

pub(super) fn create_key(db: &Connection, row: &KeyRow) -> Result<Outcome, Fail> {
    let scope = map::keyword(&row.scope)?;
    let mut insert = db.prepare_cached(
        "INSERT INTO api_keys (id, account, name, hash, scope, created_ms, expires_ms, revoked_ms, user)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let values = params![
        row.id.uuid(),
        row.account.uuid(),
        row.name,
        row.hash.as_bytes(),
        scope,
        row.created_ms,
        row.expires_ms,
        row.revoked_ms,
        row.user.map(|id| id.uuid())
    ];
    inserted(insert.execute(values), "a key", "account")
}

pub(super) fn revoke_key(
    db: &Connection,
    account: AccountId,
    key: KeyId,
    at_ms: u64,
) -> Result<Outcome, Fail> {
    let rows = db
        .prepare_cached(
            "UPDATE api_keys SET revoked_ms = coalesce(revoked_ms, ?3) WHERE id = ?1 AND account = ?2",
        )?
        .execute(params![key.uuid(), account.uuid(), at_ms])?;
    if rows == 0 { Err(CommitError::NotFound("key").into()) } else { Ok(Outcome::Done) }
}

pub(super) fn use_key(db: &Connection, key: KeyId, at_ms: u64) -> Result<Outcome, Fail> {
    db.prepare_cached("UPDATE api_keys SET last_used_ms = max(coalesce(last_used_ms, 0), ?2) WHERE id = ?1")?
        .execute(params![key.uuid(), at_ms])?;
    Ok(Outcome::Done)
}

pub(super) fn create_enrolment(
    db: &Connection,
    account: AccountId,
    id: EnrolmentId,
    hash: Sha256Digest,
    (created_ms, expires_ms): (u64, u64),
) -> Result<Outcome, Fail> {
    let mut insert = db.prepare_cached(
        "INSERT INTO enrolments (id, hash, account, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let values = params![id.uuid(), hash.as_bytes(), account.uuid(), created_ms, expires_ms];
    inserted(insert.execute(values), "an enrolment token", "account")
}

pub(super) fn revoke_enrolment(
    db: &Connection,
    account: AccountId,
    enrolment: EnrolmentId,
) -> Result<Outcome, Fail> {
    let rows = db
        .prepare_cached("DELETE FROM enrolments WHERE id = ?1 AND account = ?2 AND used_by IS NULL")?
        .execute([enrolment.uuid(), account.uuid()])?;
    if rows == 0 { Err(CommitError::NotFound("enrolment").into()) } else { Ok(Outcome::Done) }
}

pub(super) fn set_limits(
    db: &Connection,
    account: AccountId,
    limits: &AccountLimits,
) -> Result<Outcome, Fail> {
    let mut insert =
        db.prepare_cached("INSERT OR REPLACE INTO account_limits (account, limits) VALUES (?1, ?2)")?;
    inserted(insert.execute(params![account.uuid(), map::json(limits)?]), "limits", "account")
}

/// Numbers an act and writes it down.
pub(super) fn audit(db: &Connection, audit: &NewAudit) -> Result<Outcome, Fail> {
    let seq: Option<u64> = db
        .prepare_cached("UPDATE accounts SET last_audit = last_audit + 1 WHERE id = ?1 RETURNING last_audit")?
        .query_row([audit.account.uuid()], |row| row.get(0))
        .optional()?;
    let Some(seq) = seq else { return Err(CommitError::NotFound("account").into()) };
    let detail = if audit.detail.is_null() { None } else { Some(map::json(&audit.detail)?) };
    db.prepare_cached(
        "INSERT INTO audit (account, seq, at_ms, who, who_name, address, action, target, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        audit.account.uuid(),
        seq,
        audit.at_ms,
        audit.who,
        audit.who_name,
        audit.address.map(|address| address.to_string()),
        audit.action,
        audit.target,
        detail,
    ])?;
    Ok(Outcome::Done)
}
