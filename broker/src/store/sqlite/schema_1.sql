CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE accounts (
    id           BLOB PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    created_ms   INTEGER NOT NULL,
    last_event   INTEGER NOT NULL DEFAULT 0, -- offset of the newest event; the next one is one more
    first_event  INTEGER NOT NULL DEFAULT 1, -- offset of the oldest event that subscribers may still read
    last_job     INTEGER NOT NULL DEFAULT 0, -- number of the newest job
    last_audit   INTEGER NOT NULL DEFAULT 0  -- number of the newest administrative act
) WITHOUT ROWID;

CREATE TABLE users (
    id         BLOB PRIMARY KEY,
    account    BLOB NOT NULL REFERENCES accounts (id),
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    password   TEXT, -- argon2id, PHC string
    disabled   INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    last_sign_in_ms INTEGER,
    UNIQUE (account, name)
) WITHOUT ROWID;

CREATE TABLE sign_ins (
    hash       BLOB PRIMARY KEY,
    user       BLOB NOT NULL REFERENCES users (id),
    expires_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE api_keys (
    id         BLOB PRIMARY KEY,
    account    BLOB NOT NULL REFERENCES accounts (id),
    name       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    scope      TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER,
    last_used_ms INTEGER,
    user       BLOB -- whose own it is
) WITHOUT ROWID;
CREATE INDEX api_keys_account ON api_keys (account, id);

CREATE TABLE enrolments (
    hash       BLOB PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    account    BLOB NOT NULL REFERENCES accounts (id),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_by    BLOB
) WITHOUT ROWID;

CREATE TABLE agents (
    id                BLOB PRIMARY KEY,
    account           BLOB NOT NULL REFERENCES accounts (id),
    public_key        BLOB NOT NULL UNIQUE,
    name              TEXT NOT NULL,
    hostname          TEXT NOT NULL,
    os                TEXT NOT NULL,
    version           TEXT NOT NULL,
    dial_n            INTEGER NOT NULL DEFAULT 0,
    epoch             INTEGER NOT NULL DEFAULT 0,
    token             BLOB,
    instances         TEXT NOT NULL DEFAULT '[]', -- JSON, oldest first
    spool             BLOB,
    ledger_seq        INTEGER NOT NULL DEFAULT 0,
    facts_acked       INTEGER NOT NULL DEFAULT 0,
    reconciled        BLOB,                      -- the store epoch that its ledger was repeated for
    spool_lost        INTEGER NOT NULL DEFAULT 0,
    clone             INTEGER NOT NULL DEFAULT 0,
    revoked_ms        INTEGER,
    observed_endpoint TEXT,
    local_endpoint    TEXT,
    online            INTEGER NOT NULL DEFAULT 0, -- the newest session has not been seen to end
    connected_ms      INTEGER,
    last_seen_ms      INTEGER,
    created_ms        INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX agents_account ON agents (account, name);

CREATE TABLE endpoint_changes (
    agent         BLOB NOT NULL REFERENCES agents (id),
    epoch         INTEGER NOT NULL,
    account       BLOB NOT NULL,
    at_ms         INTEGER NOT NULL,
    from_endpoint TEXT,
    to_endpoint   TEXT NOT NULL,
    PRIMARY KEY (agent, epoch)
) WITHOUT ROWID;

CREATE TABLE printers (
    id      BLOB PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id),
    agent   BLOB NOT NULL REFERENCES agents (id),
    number  INTEGER NOT NULL,
    label   TEXT NOT NULL, -- the agent's name for it: with the number it makes the printer the same one
    name    TEXT NOT NULL, -- its name in the account
    info    TEXT NOT NULL,
    present INTEGER NOT NULL,
    UNIQUE (agent, number, label)
) WITHOUT ROWID;
CREATE INDEX printers_account ON printers (account, name);

CREATE TABLE jobs (
    seq            INTEGER PRIMARY KEY,
    id             BLOB NOT NULL UNIQUE,
    account        BLOB NOT NULL,
    number         INTEGER NOT NULL,
    agent          BLOB NOT NULL,
    printer        BLOB NOT NULL,
    printer_number INTEGER NOT NULL,
    document       BLOB NOT NULL,
    spec           TEXT NOT NULL, -- JSON of what the app asked for; never changes
    priority       INTEGER NOT NULL,
    hold           INTEGER NOT NULL,
    created_ms     INTEGER NOT NULL,
    expires_ms     INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    sha256         BLOB,
    state          TEXT NOT NULL,
    reason         TEXT,
    witness        TEXT,
    attempt        INTEGER NOT NULL,
    may_print      INTEGER NOT NULL,
    request        TEXT,
    received       INTEGER NOT NULL,
    delivered      INTEGER NOT NULL,
    packet_bytes   INTEGER NOT NULL,
    fact_attempt   INTEGER,
    fact_seq       INTEGER,
    corrupt        INTEGER NOT NULL,
    accepted_ms    INTEGER,
    ended_ms       INTEGER,
    kept           INTEGER NOT NULL DEFAULT 1, -- its document is still there
    rev            INTEGER NOT NULL
);
CREATE UNIQUE INDEX jobs_number ON jobs (account, number);
CREATE INDEX jobs_printer ON jobs (printer, number);
-- Dispatch looks only at jobs that have not ended, however many have.
CREATE INDEX jobs_queue ON jobs (printer, state, priority DESC, accepted_ms, number) WHERE ended_ms IS NULL;
CREATE INDEX jobs_agent ON jobs (agent, state) WHERE ended_ms IS NULL;
CREATE INDEX jobs_expiry ON jobs (expires_ms) WHERE ended_ms IS NULL;
-- Retention: first the document, then the row.
CREATE INDEX jobs_kept ON jobs (ended_ms) WHERE ended_ms IS NOT NULL AND kept = 1;
CREATE INDEX jobs_ended ON jobs (ended_ms) WHERE ended_ms IS NOT NULL AND kept = 0;

CREATE TABLE documents (
    seq     INTEGER PRIMARY KEY,
    id      BLOB NOT NULL UNIQUE,
    account BLOB NOT NULL,
    kind    INTEGER NOT NULL, -- 0 still coming, 1 in this row, 2 in its file
    bytes   INTEGER,
    sha256  BLOB,
    content BLOB
);

CREATE TABLE events (
    account BLOB NOT NULL,
    offset  INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    job     BLOB,
    agent   BLOB,
    printer BLOB,
    data    TEXT,
    PRIMARY KEY (account, offset)
) WITHOUT ROWID;
CREATE INDEX events_job ON events (job, offset) WHERE job IS NOT NULL;

CREATE TABLE idempotency (
    account    BLOB NOT NULL,
    key        TEXT NOT NULL,
    request    BLOB NOT NULL,
    job        BLOB NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (account, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_expiry ON idempotency (expires_ms);
