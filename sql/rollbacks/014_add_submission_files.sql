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
-- The files beside the entry point are lost. What is unfinished would be judged as the program that it is not: such a
-- submission becomes a dead letter.
DO $$
BEGIN
    IF EXISTS (SELECT FROM information_schema.columns
               WHERE table_schema = current_schema() AND table_name = 'submissions' AND column_name = 'files') THEN
        WITH lost AS (
            UPDATE submissions
            SET state = 'dead', status = 'System Error', lease_owner = NULL, lease_until = NULL, updated_at = now(),
                error_code = 'FILES_LOST', error_message = 'its files were lost in a rollback of the schema'
            WHERE files IS NOT NULL AND state IN ('pending', 'processing')
            RETURNING job_id, judging, attempt_id
        )
        INSERT INTO attempts (job_id, judging, attempt_id, event, outcome)
        SELECT job_id, judging, attempt_id, 'dead', 'FILES_LOST' FROM lost;
    END IF;
END
$$;
ALTER TABLE submissions DROP CONSTRAINT IF EXISTS submissions_files;
ALTER TABLE submissions DROP COLUMN IF EXISTS files;
ALTER TABLE submissions DROP COLUMN IF EXISTS entry_point;
