-- The outbox is the priority queue. priority >= 0: somebody waits for the verdict; below: it goes when there is room
-- (rejudges). Each lane has an index of its own, so that the head of one is found however many wait in the other.
DROP INDEX IF EXISTS idx_outbox_pending_retry;
DROP INDEX IF EXISTS idx_outbox_pending_background;
CREATE INDEX idx_outbox_pending_retry ON outbox_events (next_attempt_at, id) WHERE status = 'pending' AND priority >= 0;
CREATE INDEX idx_outbox_pending_background ON outbox_events (next_attempt_at, id)
    WHERE status = 'pending' AND priority < 0;

-- Rejudges take no place from contestants: the cap on jobs under way counts first judgings, and reads no others.
CREATE INDEX IF NOT EXISTS idx_submissions_inflight ON submissions (id)
    WHERE state IN ('pending', 'processing') AND judging = 1;

-- In which lane a submission goes round again: a judging that was opened anew is a rejudge.
CREATE OR REPLACE FUNCTION submission_priority(s submissions) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN s.judging > 1 THEN -1 ELSE 0 END
$$;
