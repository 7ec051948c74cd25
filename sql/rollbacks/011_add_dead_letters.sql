DROP INDEX IF EXISTS idx_attempts_created_at;
DROP INDEX IF EXISTS idx_submissions_created_at;
ALTER TABLE submissions DROP COLUMN IF EXISTS avoid_until;
ALTER TABLE submissions DROP COLUMN IF EXISTS avoid_owner;
DROP INDEX IF EXISTS idx_submissions_dead;
DROP FUNCTION IF EXISTS dead_letter_refusal(uuid, text, bigint, bigint, text);
-- the older ledger has no words for what persons decided
DELETE FROM attempts WHERE event IN ('requeued', 'discarded');
DROP INDEX IF EXISTS idx_attempts_one_verdict;
CREATE UNIQUE INDEX idx_attempts_one_verdict ON attempts (job_id, judging) WHERE event = 'finalized';
ALTER TABLE attempts DROP CONSTRAINT IF EXISTS attempts_event;
ALTER TABLE attempts ADD CONSTRAINT attempts_event CHECK (
    event IN ('claimed', 'lost', 'given_back', 'finalized', 'refused', 'dead'));
