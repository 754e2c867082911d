-- Webhooks, what was sent to them, and documents that the broker fetches.

CREATE TABLE webhooks (
    id                BLOB PRIMARY KEY,
    account           BLOB NOT NULL REFERENCES accounts (id),
    name              TEXT NOT NULL,
    url               TEXT NOT NULL,
    kinds             TEXT NOT NULL, -- JSON list
    secret            TEXT NOT NULL, -- signs requests, so it cannot be a hash
    previous          TEXT,
    previous_until_ms INTEGER,
    enabled           INTEGER NOT NULL,
    disabled_ms       INTEGER,
    disabled_reason   TEXT,
    through           INTEGER NOT NULL, -- every event up to here was taken, or hidden by the filter
    failures          INTEGER NOT NULL DEFAULT 0,
    failing_since_ms  INTEGER,
    retry_ms          INTEGER,
    created_ms        INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX webhooks_account ON webhooks (account, created_ms);

CREATE TABLE deliveries (
    id          BLOB PRIMARY KEY, -- UUIDv7: sorts by time
    webhook     BLOB NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    message     TEXT NOT NULL,
    offset      INTEGER,
    kind        TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    cause       TEXT NOT NULL,
    at_ms       INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    taken       INTEGER NOT NULL,
    status      INTEGER,
    error       TEXT,
    response    TEXT
) WITHOUT ROWID;
CREATE INDEX deliveries_webhook ON deliveries (webhook, id);

CREATE TABLE fetches (
    job     BLOB PRIMARY KEY, -- while it is incoming
    account BLOB NOT NULL,
    url     TEXT NOT NULL,
    sha256  BLOB
) WITHOUT ROWID;
