-- Registered passwords: sealed, so that nobody who reads this can read them.

-- One for each account of a kind in a pool; a revoked one stays as a tombstone, so that its number is not given again.
CREATE TABLE credentials (
    kind TEXT NOT NULL,
    account TEXT NOT NULL,
    pool TEXT NOT NULL,
    domain TEXT NOT NULL,
    sid TEXT NOT NULL,
    sid_found TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    checks INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    by_user TEXT NOT NULL,
    is_revoked INTEGER NOT NULL,
    verdict TEXT,
    checked_ms INTEGER,
    checked_host TEXT NOT NULL,
    checked_detail TEXT NOT NULL,
    PRIMARY KEY (kind, account, pool)
) STRICT, WITHOUT ROWID;

-- What is sealed to each worker's key.
CREATE TABLE credential_seals (
    kind TEXT NOT NULL,
    account TEXT NOT NULL,
    pool TEXT NOT NULL,
    key BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (kind, account, pool, key)
) STRICT, WITHOUT ROWID;

-- The public keys of workers; place 0 is the current one.
CREATE TABLE pool_keys (
    host BLOB NOT NULL,
    place INTEGER NOT NULL,
    pool TEXT NOT NULL,
    key BLOB NOT NULL,
    public BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (host, place)
) STRICT, WITHOUT ROWID;

-- For people.
CREATE VIEW credential AS
SELECT c.kind, c.account, c.domain, c.pool, c.sequence, c.is_revoked, c.verdict, c.checked_host AS checked_by,
    datetime(c.checked_ms / 1000.0, 'unixepoch') AS checked,
    datetime(c.created_ms / 1000.0, 'unixepoch') AS created,
    datetime(c.expires_ms / 1000.0, 'unixepoch') AS expires,
    c.by_user AS registered_by,
    (SELECT count(*) FROM credential_seals s
        WHERE s.kind = c.kind AND s.account = c.account AND s.pool = c.pool) AS sealed_to
FROM credentials c;
