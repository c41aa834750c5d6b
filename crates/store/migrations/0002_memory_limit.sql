-- What the kernel kept an attempt's memory to. Nothing for attempts without a limit and those of older programs.

ALTER TABLE attempts ADD COLUMN memory_limit INTEGER;

DROP VIEW attempt;
CREATE VIEW attempt AS
SELECT job, item, attempt, instance, launch, host_name AS host, account, outcome, exit_code, signal, reason,
    datetime(assigned_ms / 1000.0, 'unixepoch') AS assigned,
    datetime(started_ms / 1000.0, 'unixepoch') AS started,
    datetime(ended_ms / 1000.0, 'unixepoch') AS ended,
    elapsed_ms / 1000.0 AS elapsed_seconds, cpu_ms / 1000.0 AS cpu_seconds, peak_memory AS peak_memory_bytes,
    out_printed AS stdout_bytes, err_printed AS stderr_bytes, leftovers, counted, memory_limit AS memory_limit_bytes
FROM attempts;
