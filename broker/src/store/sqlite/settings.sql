-- What an account has set for a printer: JSON, as the API shows it.
CREATE TABLE printer_settings (
    printer  BLOB PRIMARY KEY REFERENCES printers (id),
    settings TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE agent_sessions (
    agent             BLOB NOT NULL REFERENCES agents (id),
    epoch             INTEGER NOT NULL,
    account           BLOB NOT NULL,
    began_ms          INTEGER NOT NULL,
    ended_ms          INTEGER, -- none where the broker has not seen its end
    end_reason        TEXT,
    observed_endpoint TEXT NOT NULL,
    local_endpoint    TEXT,
    version           TEXT NOT NULL,
    PRIMARY KEY (agent, epoch)
) WITHOUT ROWID;

-- Lists of jobs: each filter has an order by number of its own, so that no page costs more than its rows.
CREATE INDEX jobs_state ON jobs (account, state, number);
CREATE INDEX jobs_of_agent ON jobs (agent, number);
CREATE INDEX jobs_key ON jobs (account, json_extract(spec, '$.idempotency_key'), number)
    WHERE json_extract(spec, '$.idempotency_key') IS NOT NULL;
CREATE TABLE job_tags (
    account BLOB NOT NULL,
    tag     TEXT NOT NULL,
    number  INTEGER NOT NULL,
    PRIMARY KEY (account, tag, number)
) WITHOUT ROWID;

-- What happened to jobs, by hour: counted where it is logged, so that a summary reads some hundred rows and not a day of jobs.
CREATE TABLE job_counts (
    account   BLOB NOT NULL,
    hour      INTEGER NOT NULL, -- Unix milliseconds / 3,600,000
    printer   BLOB NOT NULL,
    accepted  INTEGER NOT NULL DEFAULT 0,
    bytes     INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    aborted   INTEGER NOT NULL DEFAULT 0,
    canceled  INTEGER NOT NULL DEFAULT 0,
    expired   INTEGER NOT NULL DEFAULT 0,
    uncertain INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, hour, printer)
) WITHOUT ROWID;
CREATE INDEX job_counts_hour ON job_counts (hour);
