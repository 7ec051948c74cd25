-- Submissions of several files: code is the text of the entry point, entry_point its name, files the others as
-- [{"name", "content"}]. Both are NULL where one source was sent. code_hash is over all of them.
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS entry_point text;
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS files       jsonb;

ALTER TABLE submissions DROP CONSTRAINT IF EXISTS submissions_files;
ALTER TABLE submissions ADD CONSTRAINT submissions_files CHECK (
    (entry_point IS NULL) = (files IS NULL) AND (files IS NULL OR jsonb_typeof(files) = 'array'));

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
        || CASE WHEN s.entry_point IS NULL THEN '{}'::jsonb
                ELSE jsonb_build_object('entry_point', s.entry_point, 'files', s.files) END
$$;
