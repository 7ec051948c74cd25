-- Deliveries belong to accounts: a node takes them account by account, and target by target within one. Ordered by
-- target alone, an account with 120 callbacks that never answer came 120 times before another account's one.
ALTER TABLE webhook_deliveries ADD COLUMN IF NOT EXISTS user_id bigint;
UPDATE webhook_deliveries AS w
SET user_id = s.user_id
FROM submissions AS s
WHERE w.user_id IS NULL AND s.job_id = w.job_id;
ALTER TABLE webhook_deliveries ALTER COLUMN user_id SET NOT NULL;

DROP INDEX IF EXISTS idx_webhook_pending;
-- the accounts that have deliveries waiting, and the earliest of each
CREATE INDEX IF NOT EXISTS idx_webhook_pending_owner ON webhook_deliveries (user_id, next_attempt_at)
    WHERE status = 'pending';
-- the targets of an account, and the earliest delivery of each
CREATE INDEX IF NOT EXISTS idx_webhook_pending_target ON webhook_deliveries (user_id, target, next_attempt_at, id)
    WHERE status = 'pending';

CREATE OR REPLACE FUNCTION webhook_of_submission() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_deliveries (job_id, user_id, judging, attempt_id, event, verdict, error_code, target)
    VALUES (NEW.job_id, NEW.user_id, NEW.judging, NEW.attempt_id, NEW.state, NEW.status, NEW.error_code,
            substring(NEW.callback_url FROM '^[a-z]+://[^/?]+'));
    RETURN NULL;
END
$$;
