DROP INDEX IF EXISTS idx_outbox_pending_retry;
DROP INDEX IF EXISTS idx_outbox_job_id;
DROP TABLE IF EXISTS outbox_events;
