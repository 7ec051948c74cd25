ALTER TABLE submissions DROP CONSTRAINT IF EXISTS submissions_status_of_state;
ALTER TABLE submissions DROP COLUMN IF EXISTS error_message;
ALTER TABLE submissions DROP COLUMN IF EXISTS error_code;
ALTER TABLE submissions DROP COLUMN IF EXISTS attempt_id;
ALTER TABLE submissions DROP COLUMN IF EXISTS state;
