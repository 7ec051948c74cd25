-- judging: 1, 2, … as a submission is judged again; judging_attempts: claims of this judging that count against the
-- bound. code_hash (SHA-256), deduplicates and idempotency_key find a submission that was sent twice. A judging that is
-- opened again must set deduplicates to false first: an identical submission may be under way by then.
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS judging          integer NOT NULL DEFAULT 1;
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS judging_attempts integer NOT NULL DEFAULT 0;
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS code_hash        bytea   NOT NULL DEFAULT ''::bytea;
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS deduplicates     boolean NOT NULL DEFAULT false;
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS idempotency_key  text;
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS trace_id         text    NOT NULL DEFAULT '';
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS stream_key       text    NOT NULL DEFAULT '';

ALTER TABLE submissions DROP CONSTRAINT IF EXISTS submissions_counts;
ALTER TABLE submissions ADD CONSTRAINT submissions_counts CHECK (
    attempt_id >= 0 AND judging >= 1 AND judging_attempts >= 0);

-- the few rows that are under way, whatever the size of the table
CREATE INDEX IF NOT EXISTS idx_submissions_unfinished ON submissions (id) WHERE state IN ('pending', 'processing');
CREATE UNIQUE INDEX IF NOT EXISTS idx_submissions_twin ON submissions (user_id, problem_id, language, code_hash)
    WHERE deduplicates AND state IN ('pending', 'processing');
CREATE UNIQUE INDEX IF NOT EXISTS idx_submissions_idempotency ON submissions (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- The task JSON of a stream's payload, out of the row.
CREATE OR REPLACE FUNCTION submission_task(s submissions) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'job_id', s.job_id,
        'code', replace(encode(convert_to(s.code, 'UTF8'), 'base64'), E'\n', ''),
        'language', s.language,
        'time_limit', s.time_limit,
        'memory_limit', s.memory_limit,
        'cache_key', encode(s.code_hash, 'hex'),
        'submit_time', floor(extract(epoch FROM s.created_at) * 1000)::bigint,
        'problem_id', s.problem_id,
        'trace_id', s.trace_id)
$$;
