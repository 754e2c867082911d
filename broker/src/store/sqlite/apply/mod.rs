//! Each change as statements, within its caller's savepoint.

mod agents;
mod counts;
mod events;
mod jobs;
mod people;
mod printers;
mod quotas;
mod sessions;
mod sweep;
mod users;
mod webhooks;

use rusqlite::Connection;

use super::writer::Pending;
use crate::store::{Change, CommitError, Outcome};

/// Why a change was not applied.
#[derive(Debug)]
pub(super) enum Fail {
    /// For the caller alone.
    Caller(CommitError),
    /// For whoever keeps the store.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Fail {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<CommitError> for Fail {
    fn from(error: CommitError) -> Self {
        Self::Caller(error)
    }
}

/// Applies one change.
pub(super) fn apply(db: &Connection, change: Change, pending: &mut Pending) -> Result<Outcome, Fail> {
    match change {
        Change::CreateAccount(row) => people::create_account(db, &row),
        Change::CreateUser(row) => people::create_user(db, &row),
        Change::CreateSignIn { user, hash, expires_ms } => people::create_sign_in(db, user, hash, expires_ms),
        Change::UseSignIn { hash, at_ms } => people::use_sign_in(db, hash, at_ms),
        Change::CreateKey(row) => people::create_key(db, &row),
        Change::RevokeKey { account, key, at_ms } => people::revoke_key(db, account, key, at_ms),
        Change::CreateEnrolment { account, id, hash, created_ms, expires_ms } => {
            people::create_enrolment(db, account, id, hash, (created_ms, expires_ms))
        }
        Change::PairAgent(new) => agents::pair(db, &new, pending),
        Change::RevokeAgent { account, agent, at_ms } => agents::revoke(db, account, agent, at_ms, pending),
        Change::ReleaseAgent { account, agent, at_ms } => agents::release(db, account, agent, at_ms, pending),
        Change::BeginSession(begin) => sessions::begin(db, &begin, pending),
        Change::EndSession { account, agent, epoch, at_ms, reason } => {
            sessions::end(db, account, agent, epoch, at_ms, &reason, pending)
        }
        Change::UpdatePrinters { account, agent, epoch, printers, at_ms } => {
            agents::update_printers(db, account, agent, epoch, &printers, at_ms, pending)
        }
        Change::Reconciled { agent, store_epoch } => sessions::reconciled(db, agent, store_epoch),
        Change::SpoolLossHandled { agent, epoch } => sessions::spool_loss_handled(db, agent, epoch),
        Change::CreateJob(new) => jobs::create(db, *new, pending),
        Change::UpdateJob(update) => jobs::update(db, *update, pending),
        Change::StoreDocument { document, bytes, sha256, inline } => {
            jobs::store_document(db, document, bytes, sha256, inline.as_deref())
        }
        Change::AcceptFact(fact) => jobs::accept_fact(db, fact),
        Change::Event { account, event } => {
            events::log(db, account, &[event], pending)?;
            Ok(Outcome::Done)
        }
        Change::Sweep { documents_before_ms, jobs_before_ms, now_ms, limit } => {
            sweep::sweep(db, documents_before_ms, jobs_before_ms, now_ms, limit)
        }
        Change::RenameAgent { account, agent, name, at_ms } => {
            agents::rename(db, account, agent, &name, at_ms, pending)
        }
        Change::UpdatePrinter { account, update, at_ms } => {
            printers::update(db, account, &update, at_ms, pending)
        }
        Change::UpdateUser { account, user, name, role, disabled } => {
            users::update(db, (account, user), name, role, disabled)
        }
        Change::SetPassword { account, user, password, keep } => {
            users::set_password(db, (account, user), password, keep)
        }
        Change::RemoveUser { account, user } => users::remove(db, account, user),
        Change::BeginLogin(row) => users::begin_login(db, &row),
        Change::UseLogin { login, at_ms } => users::use_login(db, login, at_ms),
        Change::EndLogin { login } => users::end_login(db, login),
        Change::UseKey { key, at_ms } => people::use_key(db, key, at_ms),
        Change::RevokeEnrolment { account, enrolment } => people::revoke_enrolment(db, account, enrolment),
        Change::SetLimits { account, limits } => people::set_limits(db, account, &limits),
        Change::AtMost { account, bound } => quotas::check(db, account, bound),
        Change::Audit(audit) => people::audit(db, &audit),
        Change::CreateWebhook(row) => webhooks::create(db, &row),
        Change::UpdateWebhook(row) => webhooks::update(db, &row),
        Change::DeleteWebhook { account, webhook } => webhooks::delete(db, account, webhook),
        Change::MoveWebhook(moved) => webhooks::advance(db, &moved, pending),
        Change::LogDeliveries { webhook, deliveries, at_ms } => {
            webhooks::log(db, webhook, &deliveries, at_ms)
        }
        Change::BeginFetch(row) => webhooks::begin_fetch(db, &row),
        Change::EndFetch { job } => webhooks::end_fetch(db, job),
    }
}
