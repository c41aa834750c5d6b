-- The first schema. Times are milliseconds since 1970 UTC. See README.md for what people may read.

-- Who may write, and the journal's bounds. One row; `shard` leaves room for more.
CREATE TABLE lease (
    shard INTEGER PRIMARY KEY CHECK (shard = 0),
    epoch INTEGER NOT NULL,
    holder TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    folded_before INTEGER NOT NULL,
    pruned_before INTEGER NOT NULL,
    prune_cursor INTEGER NOT NULL
) STRICT;
INSERT INTO lease VALUES (0, 0, '', 0, 0, 0, 0);

CREATE TABLE meta (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What of a job seldom changes; its description is large.
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    submitted_ms INTEGER NOT NULL,
    key TEXT,
    spec TEXT NOT NULL,
    spec_format INTEGER NOT NULL,
    cpus INTEGER NOT NULL,
    items INTEGER NOT NULL,
    notes TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX jobs_key ON jobs (owner, key) WHERE key IS NOT NULL;

-- What of a job changes in nearly every transaction; small.
CREATE TABLE job_states (
    id INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    place INTEGER NOT NULL,
    started_ms INTEGER,
    ended_ms INTEGER,
    pending INTEGER NOT NULL,
    blocked INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    running INTEGER NOT NULL,
    suspended INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    killed INTEGER NOT NULL
) STRICT;
CREATE INDEX job_states_ended ON job_states (ended_ms) WHERE ended_ms IS NOT NULL;

-- Items, packed. A segment contains what the journal says up to row `seq`; rows before `lease.folded_before` need not
-- be looked at.
CREATE TABLE items (
    job INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    count INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    cells BLOB NOT NULL,
    PRIMARY KEY (job, segment)
) STRICT;

CREATE TABLE instances (
    job INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    state TEXT NOT NULL,
    detail TEXT NOT NULL,
    launch_last INTEGER NOT NULL,
    retries_used INTEGER NOT NULL,
    PRIMARY KEY (job, instance)
) STRICT, WITHOUT ROWID;

CREATE TABLE launches (
    job INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    launch INTEGER NOT NULL,
    host BLOB NOT NULL,
    phase TEXT NOT NULL,
    item INTEGER,
    attempt INTEGER,
    account TEXT NOT NULL,
    mode TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (job, instance, launch)
) STRICT, WITHOUT ROWID;

CREATE TABLE hosts (
    id BLOB PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    locked INTEGER NOT NULL,
    facts TEXT NOT NULL,
    enrolled_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    fingerprint BLOB
) STRICT;

CREATE TABLE attempts (
    job INTEGER NOT NULL,
    item INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    launch INTEGER NOT NULL,
    host BLOB NOT NULL,
    host_name TEXT NOT NULL,
    account TEXT NOT NULL,
    assigned_ms INTEGER NOT NULL,
    started_ms INTEGER,
    ended_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    exit_code INTEGER,
    signal INTEGER,
    reason TEXT,
    elapsed_ms INTEGER NOT NULL,
    cpu_ms INTEGER NOT NULL,
    peak_memory INTEGER NOT NULL,
    out_printed INTEGER NOT NULL,
    out_kept INTEGER NOT NULL,
    err_printed INTEGER NOT NULL,
    err_kept INTEGER NOT NULL,
    leftovers INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    PRIMARY KEY (job, item, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    job INTEGER,
    instance INTEGER,
    item INTEGER,
    attempt INTEGER,
    host BLOB,
    actor TEXT,
    cell INTEGER,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX journal_job ON journal (job) WHERE job IS NOT NULL;
CREATE INDEX journal_item ON journal (job, item) WHERE item IS NOT NULL;

-- Removed jobs whose attempts and journal rows (before that number) are still to be deleted.
CREATE TABLE removed (
    job INTEGER PRIMARY KEY,
    before_seq INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    id TEXT PRIMARY KEY NOT NULL,
    sha256 BLOB NOT NULL UNIQUE,
    user TEXT NOT NULL,
    is_admin INTEGER NOT NULL,
    note TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    last_used_ms INTEGER
) STRICT;

CREATE TABLE join_tokens (
    sha256 BLOB PRIMARY KEY NOT NULL,
    note TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    uses_left INTEGER NOT NULL
) STRICT;

-- For people.
CREATE VIEW job AS
SELECT j.id, j.name, j.kind, j.owner, s.state, s.priority, j.cpus, j.items,
    s.pending, s.blocked, s.waiting, s.running, s.suspended, s.complete, s.failed, s.killed,
    datetime(j.submitted_ms / 1000.0, 'unixepoch') AS submitted,
    datetime(s.started_ms / 1000.0, 'unixepoch') AS started,
    datetime(s.ended_ms / 1000.0, 'unixepoch') AS ended,
    j.key, j.notes, j.spec
FROM jobs j JOIN job_states s ON s.id = j.id;

CREATE VIEW attempt AS
SELECT job, item, attempt, instance, launch, host_name AS host, account, outcome, exit_code, signal, reason,
    datetime(assigned_ms / 1000.0, 'unixepoch') AS assigned,
    datetime(started_ms / 1000.0, 'unixepoch') AS started,
    datetime(ended_ms / 1000.0, 'unixepoch') AS ended,
    elapsed_ms / 1000.0 AS elapsed_seconds, cpu_ms / 1000.0 AS cpu_seconds, peak_memory AS peak_memory_bytes,
    out_printed AS stdout_bytes, err_printed AS stderr_bytes, leftovers, counted
FROM attempts;

CREATE VIEW history AS
SELECT e.seq, strftime('%Y-%m-%d %H:%M:%f', e.at_ms / 1000.0, 'unixepoch') AS at, e.kind, e.job, e.instance, e.item,
    e.attempt, coalesce(h.name, lower(hex(e.host))) AS host, e.actor, e.text
FROM journal e LEFT JOIN hosts h ON h.id = e.host;
