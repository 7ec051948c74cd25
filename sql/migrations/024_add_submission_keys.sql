-- Idempotency-Keys answered with an unfinished identical submission, which has another key or none. A key stands for its
-- submission as long as that is kept; sent again after the submission has finished it must not make a second one. The
-- key that a submission was made with stays in its row.
CREATE TABLE IF NOT EXISTS submission_keys (
    user_id         bigint NOT NULL,
    idempotency_key text   NOT NULL,
    job_id          uuid   NOT NULL REFERENCES submissions (job_id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, idempotency_key)
);
-- for the deletion of submissions
CREATE INDEX IF NOT EXISTS idx_submission_keys_job_id ON submission_keys (job_id);

-- Two tables hold keys, so no unique index keeps a key out of one that is in the other: submits under one key come one
-- after the other. The lock is held to the end of the transaction.
CREATE OR REPLACE FUNCTION lock_submission_key(asked_user_id bigint, asked_key text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('deepoj.key ' || asked_key, asked_user_id))
$$;

-- The submission that a key of a user stands for. It is read by a statement of its own after the lock, so it sees what
-- the last holder of the lock has committed.
CREATE OR REPLACE FUNCTION submission_of_key(asked_user_id bigint, asked_key text)
RETURNS TABLE (job_id uuid, problem_id bigint, language text, code_hash bytea) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_submission_key(asked_user_id, asked_key);
    RETURN QUERY
        SELECT s.job_id, s.problem_id, s.language, s.code_hash FROM submissions AS s
        WHERE s.user_id = asked_user_id AND s.idempotency_key = asked_key
        UNION ALL
        SELECT s.job_id, s.problem_id, s.language, s.code_hash
        FROM submission_keys AS k JOIN submissions AS s ON s.job_id = k.job_id
        WHERE k.user_id = asked_user_id AND k.idempotency_key = asked_key;
END
$$;

-- Lets a key stand for a submission; false: the submission has been deleted. It is locked against that first.
CREATE OR REPLACE FUNCTION keep_submission_key(asked_user_id bigint, asked_key text, twin uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO submission_keys (user_id, idempotency_key, job_id)
    SELECT asked_user_id, asked_key, s.job_id FROM submissions AS s WHERE s.job_id = twin FOR KEY SHARE
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;
