//! People: what they are called and may do, and their sign-ins.

use inkwire_protocol::app::Role;
use inkwire_protocol::ids::{AccountId, LoginId, UserId};
use rusqlite::{Connection, params};

use super::super::{map, read_people};
use super::Fail;
use super::people::inserted;
use crate::limits::LOGINS_PER_USER;
use crate::store::{CommitError, LoginRow, Outcome, PasswordHash, UserRow};

/// An account and a person in it.
type Whom = (AccountId, UserId);

pub(super) fn update(
    db: &Connection,
    whom: Whom,
    name: Option<String>,
    role: Option<Role>,
    disabled: Option<bool>,
) -> Result<Outcome, Fail> {
    let before = find(db, whom)?;
    let mut row = before.clone();
    row.name = name.unwrap_or(row.name);
    row.role = role.unwrap_or(row.role);
    row.disabled = disabled.unwrap_or(row.disabled);
    if rules(&before) && !rules(&row) {
        keep_one_owner(db, whom)?;
    }
    let mut update =
        db.prepare_cached("UPDATE users SET name = ?2, role = ?3, disabled = ?4 WHERE id = ?1")?;
    let values = params![row.id.uuid(), row.name, map::keyword(&row.role)?, row.disabled];
    inserted(update.execute(values), "a user", "account")?;
    if row.disabled {
        end_everything(db, row.id, None)?;
    }
    Ok(Outcome::User(Box::new(row)))
}

pub(super) fn set_password(
    db: &Connection,
    whom: Whom,
    password: Option<PasswordHash>,
    keep: Option<LoginId>,
) -> Result<Outcome, Fail> {
    let mut row = find(db, whom)?;
    db.prepare_cached("UPDATE users SET password = ?2 WHERE id = ?1")?
        .execute(params![row.id.uuid(), password.as_ref().map(|hash| &hash.0)])?;
    end_everything(db, row.id, keep)?;
    row.password = password;
    Ok(Outcome::User(Box::new(row)))
}

pub(super) fn remove(db: &Connection, account: AccountId, user: UserId) -> Result<Outcome, Fail> {
    let row = find(db, (account, user))?;
    if rules(&row) {
        keep_one_owner(db, (account, user))?;
    }
    end_everything(db, user, None)?;
    db.prepare_cached("DELETE FROM api_keys WHERE account = ?1 AND user = ?2")?
        .execute([account.uuid(), user.uuid()])?;
    db.prepare_cached("DELETE FROM users WHERE id = ?1")?.execute([user.uuid()])?;
    Ok(Outcome::User(Box::new(row)))
}

pub(super) fn begin_login(db: &Connection, row: &LoginRow) -> Result<Outcome, Fail> {
    // Oldest first out, so that a script that signs in again and again fills nothing.
    db.prepare_cached(
        "DELETE FROM logins WHERE id IN
         (SELECT id FROM logins WHERE user = ?1 ORDER BY created_ms DESC, id DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![row.user.uuid(), LOGINS_PER_USER - 1])?;
    let mut insert = db.prepare_cached(
        "INSERT INTO logins (id, hash, account, user, created_ms, last_used_ms, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let values = params![
        row.id.uuid(),
        row.hash.as_bytes(),
        row.account.uuid(),
        row.user.uuid(),
        row.created_ms,
        row.last_used_ms,
        row.expires_ms
    ];
    inserted(insert.execute(values), "a sign-in", "user")?;
    db.prepare_cached("UPDATE users SET last_sign_in_ms = ?2 WHERE id = ?1")?
        .execute(params![row.user.uuid(), row.created_ms])?;
    Ok(Outcome::Done)
}

pub(super) fn use_login(db: &Connection, login: LoginId, at_ms: u64) -> Result<Outcome, Fail> {
    db.prepare_cached("UPDATE logins SET last_used_ms = max(last_used_ms, ?2) WHERE id = ?1")?
        .execute(params![login.uuid(), at_ms])?;
    Ok(Outcome::Done)
}

pub(super) fn end_login(db: &Connection, login: LoginId) -> Result<Outcome, Fail> {
    db.prepare_cached("DELETE FROM logins WHERE id = ?1")?.execute([login.uuid()])?;
    Ok(Outcome::Done)
}

fn find(db: &Connection, (account, user): Whom) -> Result<UserRow, Fail> {
    read_people::user_of(db, account, user)?.ok_or_else(|| CommitError::NotFound("user").into())
}

/// Whether this person may administer the account.
fn rules(row: &UserRow) -> bool {
    row.role == Role::Owner && !row.disabled
}

fn keep_one_owner(db: &Connection, (account, user): Whom) -> Result<(), Fail> {
    let others: u64 = db
        .prepare_cached(
            "SELECT count(*) FROM users WHERE account = ?1 AND id <> ?2 AND role = 'owner' AND disabled = 0",
        )?
        .query_row([account.uuid(), user.uuid()], |row| row.get(0))?;
    if others > 0 {
        return Ok(());
    }
    Err(CommitError::Refused("this is the account's last owner: make another one first").into())
}

fn end_everything(db: &Connection, user: UserId, keep: Option<LoginId>) -> Result<(), Fail> {
    db.prepare_cached("DELETE FROM logins WHERE user = ?1 AND id IS NOT ?2")?
        .execute(params![user.uuid(), keep.map(|id| id.uuid())])?;
    db.prepare_cached("DELETE FROM sign_ins WHERE user = ?1")?.execute([user.uuid()])?;
    Ok(())
}
