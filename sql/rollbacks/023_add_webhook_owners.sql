CREATE OR REPLACE FUNCTION webhook_of_submission() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_deliveries (job_id, judging, attempt_id, event, verdict, error_code, target)
    VALUES (NEW.job_id, NEW.judging, NEW.attempt_id, NEW.state, NEW.status, NEW.error_code,
            substring(NEW.callback_url FROM '^[a-z]+://[^/?]+'));
    RETURN NULL;
END
$$;
DROP INDEX IF EXISTS idx_webhook_pending_target;
DROP INDEX IF EXISTS idx_webhook_pending_owner;
CREATE INDEX IF NOT EXISTS idx_webhook_pending ON webhook_deliveries (target, next_attempt_at, id)
    WHERE status = 'pending';
ALTER TABLE webhook_deliveries DROP COLUMN IF EXISTS user_id;
