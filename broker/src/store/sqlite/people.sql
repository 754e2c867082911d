-- People who are signed in, limits, use, and who changed what.

CREATE TABLE logins (
    id           BLOB PRIMARY KEY,
    hash         BLOB NOT NULL UNIQUE,
    account      BLOB NOT NULL REFERENCES accounts (id),
    user         BLOB NOT NULL REFERENCES users (id),
    created_ms   INTEGER NOT NULL,
    last_used_ms INTEGER NOT NULL,
    expires_ms   INTEGER NOT NULL -- whatever is done; what idles ends sooner
) WITHOUT ROWID;
CREATE INDEX logins_user ON logins (user, created_ms);

CREATE TABLE account_limits (
    account BLOB PRIMARY KEY REFERENCES accounts (id),
    limits  TEXT NOT NULL -- JSON
) WITHOUT ROWID;

-- Kept by triggers in the very transactions that they count.
CREATE TABLE account_usage (
    account      BLOB PRIMARY KEY,
    stored_bytes INTEGER NOT NULL DEFAULT 0,
    day          INTEGER NOT NULL DEFAULT 0, -- days since 1970
    jobs_today   INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TRIGGER usage_begins AFTER INSERT ON accounts BEGIN
    INSERT INTO account_usage (account) VALUES (NEW.id);
END;

CREATE TRIGGER usage_of_jobs AFTER INSERT ON jobs BEGIN
    UPDATE account_usage SET
        jobs_today = CASE day WHEN NEW.created_ms / 86400000 THEN jobs_today + 1 ELSE 1 END,
        day = NEW.created_ms / 86400000
    WHERE account = NEW.account;
END;

CREATE TRIGGER usage_of_new_documents AFTER INSERT ON documents WHEN NEW.bytes > 0 BEGIN
    UPDATE account_usage SET stored_bytes = stored_bytes + NEW.bytes WHERE account = NEW.account;
END;

CREATE TRIGGER usage_of_documents AFTER UPDATE OF bytes ON documents BEGIN
    UPDATE account_usage SET stored_bytes = stored_bytes + coalesce(NEW.bytes, 0) - coalesce(OLD.bytes, 0)
    WHERE account = NEW.account;
END;

CREATE TRIGGER usage_of_old_documents AFTER DELETE ON documents WHEN OLD.bytes > 0 BEGIN
    UPDATE account_usage SET stored_bytes = stored_bytes - OLD.bytes WHERE account = OLD.account;
END;

CREATE TABLE audit (
    account  BLOB NOT NULL,
    seq      INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    who      TEXT NOT NULL,
    who_name TEXT NOT NULL,
    address  TEXT,
    action   TEXT NOT NULL,
    target   TEXT NOT NULL,
    detail   TEXT, -- JSON
    PRIMARY KEY (account, seq)
) WITHOUT ROWID;
CREATE INDEX audit_age ON audit (at_ms);
