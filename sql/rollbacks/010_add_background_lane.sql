DROP FUNCTION IF EXISTS submission_priority(submissions);
DROP INDEX IF EXISTS idx_submissions_inflight;
DROP INDEX IF EXISTS idx_outbox_pending_background;
DROP INDEX IF EXISTS idx_outbox_pending_retry;
CREATE INDEX idx_outbox_pending_retry ON outbox_events (next_attempt_at, id) WHERE status = 'pending';
