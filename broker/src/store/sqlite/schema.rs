//! Tables and their numbered migrations.

use rusqlite::Connection;

use super::OpenError;

/// Each migration, a list of scripts, brings the store from its index to the next version. They are never edited once released.
const MIGRATIONS: &[&[&str]] = &[
    &[
        include_str!("schema_1.sql"),
        include_str!("people.sql"),
        include_str!("webhooks.sql"),
        include_str!("settings.sql"),
    ],
    &[include_str!("webhook_tags.sql")],
];

/// The newest version that is known here.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// The version of a store; refuses one that a newer broker wrote.
pub(super) fn version(connection: &Connection) -> Result<u32, OpenError> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > VERSION {
        let path = connection.path().unwrap_or_default().into();
        return Err(OpenError::Newer { path, found, known: VERSION });
    }
    Ok(found)
}

/// Brings the store up to this version; refuses one that a newer broker wrote.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let found = version(connection)?;
    for (version, scripts) in (1..).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction()?;
        scripts.iter().try_for_each(|sql| transaction.execute_batch(sql))?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
