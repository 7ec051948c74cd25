-- Where a submission stands, its fencing token, and why it went wrong when it did.
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS state         text   NOT NULL DEFAULT 'pending';
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS attempt_id    bigint NOT NULL DEFAULT 0;
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS error_code    text;
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS error_message text;

ALTER TABLE submissions DROP CONSTRAINT IF EXISTS submissions_status_of_state;
ALTER TABLE submissions ADD CONSTRAINT submissions_status_of_state CHECK (
    CASE state
        WHEN 'pending'    THEN status = 'pending'
        WHEN 'processing' THEN status = 'running'
        WHEN 'dead'       THEN status = 'System Error'
        WHEN 'done'       THEN result IS NOT NULL AND status IN (
            'Accepted', 'Wrong Answer', 'Presentation Error', 'Compile Error', 'Time Limit Exceeded',
            'Memory Limit Exceeded', 'Output Limit Exceeded', 'Runtime Error', 'System Error', 'Partial')
        ELSE false
    END);
