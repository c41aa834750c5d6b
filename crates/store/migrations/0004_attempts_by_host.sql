-- What a host ran within a time.

CREATE INDEX attempts_host ON attempts (host, ended_ms);
