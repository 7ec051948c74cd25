DROP FUNCTION IF EXISTS inflight_of(bigint, bigint);
DROP INDEX IF EXISTS idx_submissions_inflight_user;
CREATE OR REPLACE FUNCTION submission_priority(s submissions) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN s.judging > 1 THEN -1 ELSE 0 END
$$;
DROP TRIGGER IF EXISTS outbox_turn ON outbox_events;
DROP FUNCTION IF EXISTS outbox_take_turn();
DROP INDEX IF EXISTS idx_outbox_pending_user;
DROP INDEX IF EXISTS idx_outbox_pending_turn;
UPDATE outbox_events SET priority = -1 WHERE status = 'pending' AND priority < -1;
DROP INDEX IF EXISTS idx_outbox_pending_retry;
DROP INDEX IF EXISTS idx_outbox_pending_background;
CREATE INDEX idx_outbox_pending_retry ON outbox_events (next_attempt_at, id) WHERE status = 'pending' AND priority >= 0;
CREATE INDEX idx_outbox_pending_background ON outbox_events (next_attempt_at, id)
    WHERE status = 'pending' AND priority < 0;
ALTER TABLE outbox_events DROP COLUMN IF EXISTS turn;
ALTER TABLE outbox_events DROP COLUMN IF EXISTS user_id;
