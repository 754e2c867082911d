//! Receipts for acknowledged facts: what the store signs for itself, so that an agent's memory can be believed.
//!
//! An agent that remembers more acknowledged facts than the store has shows that the store was restored from a backup, and that sends
//! every session back. So nobody but this store may be able to say such a number: each acknowledgement carries an HMAC-SHA256 over
//! agent, incarnation and count. The key is made with the store and lies in it, so that a backup knows it too.

use aws_lc_rs::hmac;
use inkwire_protocol::ids::{AckReceipt, AgentId, StoreEpoch};
use rusqlite::{Connection, OptionalExtension as _};

const KEY_BYTES: usize = 32;

/// Makes the key where there is none yet.
pub(super) fn make_key(db: &Connection) -> rusqlite::Result<()> {
    let mut random = zeroize::Zeroizing::new([0; KEY_BYTES]);
    rand::Rng::fill_bytes(&mut rand::rng(), &mut random[..]);
    db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('receipt_key', ?1)", [&random[..]])?;
    Ok(())
}

/// The receipt for so many facts of this agent, in this incarnation.
pub(super) fn sign(
    db: &Connection,
    agent: AgentId,
    store_epoch: StoreEpoch,
    facts_acked: u64,
) -> rusqlite::Result<AckReceipt> {
    let tag = hmac::sign(&key(db)?, &said(agent, store_epoch, facts_acked));
    let mut code = [0; 32];
    code.copy_from_slice(tag.as_ref());
    Ok(AckReceipt::new(store_epoch, code))
}

/// Whether this store, or the one that it is a copy of, has given this receipt for so many facts of this agent.
pub(super) fn is_ours(
    db: &Connection,
    agent: AgentId,
    facts_acked: u64,
    receipt: &AckReceipt,
) -> rusqlite::Result<bool> {
    let said = said(agent, receipt.store_epoch(), facts_acked);
    // Compares in constant time.
    Ok(hmac::verify(&key(db)?, &said, receipt.code()).is_ok())
}

fn said(agent: AgentId, store_epoch: StoreEpoch, facts_acked: u64) -> Vec<u8> {
    [
        b"inkwire facts v1".as_slice(),
        agent.uuid().as_bytes(),
        store_epoch.uuid().as_bytes(),
        &facts_acked.to_be_bytes(),
    ]
    .concat()
}

fn key(db: &Connection) -> rusqlite::Result<hmac::Key> {
    let bytes: Option<Vec<u8>> = db
        .prepare_cached("SELECT value FROM meta WHERE key = 'receipt_key'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let bytes = zeroize::Zeroizing::new(bytes.ok_or(rusqlite::Error::QueryReturnedNoRows)?);
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}
