-- Tests of attempts that are under way, for those who watch: what is shown before the verdict, and forgotten with it. A
-- row is what one node told at once of one attempt: the tests first to last, of count. UNLOGGED: it costs no WAL, and
-- after a crash of the server it is empty, which nobody minds. No foreign key: a told test must never hold up a job.
CREATE UNLOGGED TABLE IF NOT EXISTS live_tests (
    job_id     uuid        NOT NULL,
    attempt_id bigint      NOT NULL,
    first      integer     NOT NULL,
    last       integer     NOT NULL,
    count      integer     NOT NULL,
    tests      jsonb       NOT NULL,
    told_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, attempt_id, last)
);
CREATE INDEX IF NOT EXISTS idx_live_tests_told_at ON live_tests (told_at);
