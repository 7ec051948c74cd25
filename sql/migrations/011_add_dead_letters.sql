-- Dead letters: who decided what about them, in the ledger; the few rows that are dead, whatever the size of the table.
-- A discarded letter has its verdict from a person, so it counts as the one verdict of its judging.
ALTER TABLE attempts DROP CONSTRAINT IF EXISTS attempts_event;
ALTER TABLE attempts ADD CONSTRAINT attempts_event CHECK (
    event IN ('claimed', 'lost', 'given_back', 'finalized', 'refused', 'dead', 'requeued', 'discarded'));

DROP INDEX IF EXISTS idx_attempts_one_verdict;
CREATE UNIQUE INDEX IF NOT EXISTS idx_attempts_one_verdict ON attempts (job_id, judging)
    WHERE event IN ('finalized', 'discarded');

CREATE INDEX IF NOT EXISTS idx_submissions_dead ON submissions (id) WHERE state = 'dead';

-- Why somebody's decision about the death at attempt `decided` is refused; NULL: it is not. The rule of every decision.
CREATE OR REPLACE FUNCTION dead_letter_refusal(
    job uuid, state text, attempt bigint, decided bigint, decision text
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN state = 'dead' AND attempt = decided THEN NULL
        WHEN EXISTS (SELECT FROM attempts AS a
                     WHERE a.job_id = job AND a.attempt_id = decided AND a.event = decision) THEN 'repeated'
        WHEN state = 'dead' THEN 'stale_attempt'
        ELSE 'not_dead'
    END
$$;

-- Who failed at a job for a reason of its own leaves it to others until then, if there are others.
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS avoid_owner text;
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS avoid_until timestamptz;

-- For the audit of what happened since a time. Both columns are written once and grow with the tables, so a block range
-- index of a few pages is enough.
CREATE INDEX IF NOT EXISTS idx_submissions_created_at ON submissions USING brin (created_at);
CREATE INDEX IF NOT EXISTS idx_attempts_created_at ON attempts USING brin (created_at);
