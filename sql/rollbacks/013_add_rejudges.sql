DROP INDEX IF EXISTS idx_submissions_problem;
DROP TABLE IF EXISTS rejudges;
-- verdicts of earlier judgings stay in the ledger, without their results
DROP TABLE IF EXISTS judgings;
DROP INDEX IF EXISTS idx_attempts_one_opening;
-- the older ledger has no word for who asked
DELETE FROM attempts WHERE event = 'rejudged';
ALTER TABLE attempts DROP CONSTRAINT IF EXISTS attempts_event;
ALTER TABLE attempts ADD CONSTRAINT attempts_event CHECK (
    event IN ('claimed', 'lost', 'given_back', 'finalized', 'refused', 'dead', 'requeued', 'discarded'));
