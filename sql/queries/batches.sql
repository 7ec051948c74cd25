-- name: open_batch
-- Makes the batch $1 of the user $2 and the key $3, or finds the one that the key names. The no-op update returns its row.
INSERT INTO batches (id, user_id, idempotency_key) VALUES ($1, $2, $3)
ON CONFLICT (user_id, idempotency_key) DO UPDATE SET idempotency_key = excluded.idempotency_key
RETURNING id::text;

-- name: lock_batches
-- Lets chunks of one user come one after the other, to the end of the transaction. So a request that is sent again while
-- the first one is still under way finds its lines, and the quota is exact. The statement after it sees what the last
-- holder of the lock has committed.
SELECT pg_advisory_xact_lock(hashtextextended('deepoj.batches', $1));

-- name: submit_lines
-- Stores lines of the batch $1 of the user $2 with their outbox rows and notifies the dispatcher, or returns the refusals: a
-- row per line.
--
-- It decides as submit does (submission_terms, the key, the twin), over many lines at once: each problem and language is
-- asked about once. $3: the seconds in which a twin answers; $4: the stream; $5: the trace; $6: how many jobs of the user's
-- batches may be unfinished: they are counted where their bound (migration 044) does not leave room for all lines. The index of twins admits one of identical programs, of the same lines or of another
-- transaction; the others are 'raced', and find it as their twin when they are tried again.
WITH
asked AS MATERIALIZED (
    SELECT * FROM unnest($7::int[], $8::uuid[], $9::bigint[], $10::text[], $11::text[], $12::bytea[], $13::text[],
                         $14::text[], $15::text[])
        AS a (line, job_id, problem_id, language, code, code_hash, entry_point, files, callback_url)
),
terms AS MATERIALIZED (
    SELECT pair.problem_id, pair.language, t.refusal, t.time_limit_ms, t.memory_limit_kb
    FROM (SELECT DISTINCT problem_id, language FROM asked) AS pair
    CROSS JOIN LATERAL submission_terms($2, pair.problem_id, pair.language, NULL) AS t
),
decision AS MATERIALIZED (
    SELECT a.*, terms.time_limit_ms, terms.memory_limit_kb, twin.id AS twin_row, twin.job_id AS twin_id,
           kept.job_id AS kept_id,
           CASE WHEN NOT kept.same_body THEN 'IDEMPOTENCY_KEY_REUSED'
                WHEN kept.same_body THEN 'same_key'
                WHEN terms.refusal IS NOT NULL THEN terms.refusal
                WHEN twin.fresh THEN 'twin'
                ELSE 'accepted' END AS word
    FROM asked AS a
    JOIN terms ON terms.problem_id = a.problem_id AND terms.language = a.language
    LEFT JOIN LATERAL (
        SELECT s.job_id, s.problem_id = a.problem_id AND s.language = a.language AND s.code_hash = a.code_hash AS same_body
        FROM batch_lines AS l JOIN submissions AS s ON s.job_id = l.job_id
        WHERE l.batch_id = $1 AND l.line = a.line) AS kept ON true
    LEFT JOIN LATERAL (
        SELECT s.id, s.job_id, s.created_at > now() - make_interval(secs => $3::float8) AND s.contest_id IS NULL AS fresh
        FROM submissions AS s
        WHERE s.user_id = $2 AND s.problem_id = a.problem_id AND s.language = a.language AND s.code_hash = a.code_hash
          -- as in idx_submissions_twin (migration 041)
          AND s.deduplicates AND CASE s.state WHEN 'pending' THEN true WHEN 'processing' THEN true END) AS twin ON true
),
waiting AS MATERIALIZED (
    SELECT b.user_id IS NOT NULL AS is_bounded,
           CASE WHEN b.unfinished_at_most + cardinality($7::int[]) <= $6 THEN b.unfinished_at_most
                ELSE (SELECT count(*) FROM (
                    SELECT FROM submissions
                    WHERE user_id = $2 AND CASE state WHEN 'pending' THEN true WHEN 'processing' THEN true END
                      AND judging = 1 AND in_batch LIMIT $6) AS counted) END AS at_most
    FROM (SELECT) AS one LEFT JOIN batch_backlogs AS b ON b.user_id = $2
),
admitted AS MATERIALIZED (
    SELECT d.* FROM decision AS d WHERE word = 'accepted'
    ORDER BY line LIMIT greatest(0, $6 - (SELECT at_most FROM waiting))
),
retired AS (
    UPDATE submissions SET deduplicates = false WHERE id IN (SELECT twin_row FROM admitted) RETURNING id
),
taken AS (
    INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, code_hash,
                             deduplicates, trace_id, stream_key, entry_point, files, callback_url, in_batch)
    SELECT job_id, problem_id, $2, code, language, time_limit_ms, memory_limit_kb, code_hash, $3::float8 > 0, $5, $4,
           entry_point, files::jsonb, callback_url, true
    FROM admitted
    -- counting the retired rows makes their update run first
    WHERE (SELECT count(*) FROM retired) >= 0
    -- in the order of the index of twins: two transactions with the same programs wait, and do not deadlock
    ORDER BY problem_id, language, code_hash, line
    ON CONFLICT DO NOTHING
    RETURNING *
),
sent AS (
    INSERT INTO outbox_events (event_type, job_id, user_id, stream_key, enqueue_ts, priority, payload, turn)
    SELECT 'submit', taken.job_id, user_id, stream_key, floor(extract(epoch FROM created_at) * 1000)::bigint,
           submission_priority(taken::submissions), submission_task(taken::submissions),
           -- one user and one lane: the turns of this chunk follow each other (migration 043)
           (SELECT outbox_turn_before(submission_priority(one::submissions), $2) FROM taken AS one LIMIT 1)
               + row_number() OVER (ORDER BY taken.job_id)
    FROM taken
    -- the caller's ids are in the order of the lines
    ORDER BY taken.job_id
    RETURNING job_id
),
bounded AS (
    INSERT INTO batch_backlogs (user_id, unfinished_at_most)
    SELECT $2, waiting.at_most + (SELECT count(*) FROM sent) FROM waiting WHERE is_bounded OR at_most < $6
    ON CONFLICT (user_id) DO UPDATE
    -- a count that stopped at the quota may be below what is unfinished
    SET unfinished_at_most = CASE WHEN (SELECT at_most FROM waiting) < $6 THEN excluded.unfinished_at_most
                                  ELSE greatest(batch_backlogs.unfinished_at_most, excluded.unfinished_at_most) END
),
answered AS MATERIALIZED (
    SELECT d.line,
           CASE WHEN d.word <> 'accepted' THEN d.word
                -- no joins: sessions have hash joins off, and a nested loop over 500 lines cost four fifths of a chunk
                WHEN d.job_id IN (SELECT job_id FROM sent) THEN 'accepted'
                WHEN d.job_id IN (SELECT job_id FROM admitted) THEN 'raced'
                ELSE 'USER_BATCH_QUOTA_REACHED' END AS word,
           CASE d.word WHEN 'same_key' THEN d.kept_id WHEN 'twin' THEN d.twin_id ELSE d.job_id END AS job_id
    FROM decision AS d
),
lines AS (
    INSERT INTO batch_lines (batch_id, line, job_id)
    SELECT $1, line, job_id FROM answered WHERE word IN ('accepted', 'twin')
    RETURNING line
),
told AS MATERIALIZED (SELECT pg_notify('deepoj_outbox', '') WHERE EXISTS (SELECT FROM sent))
SELECT line, word, job_id::text, (SELECT count(*) FROM lines) AS stored, (SELECT count(*) FROM told) AS told
FROM answered ORDER BY line;

-- name: batch_of
-- The batch $1 with its counts, by state and status.
SELECT b.id::text, b.user_id, b.created_at, s.state, s.status, count(s.job_id) AS count
FROM batches AS b
LEFT JOIN batch_lines AS l ON l.batch_id = b.id
LEFT JOIN submissions AS s ON s.job_id = l.job_id
WHERE b.id = $1
GROUP BY b.id, s.state, s.status
ORDER BY count DESC, s.status;

-- name: batches_of
-- The newest $2 batches of the user $1 that have lines, without counts.
SELECT id::text, user_id, created_at FROM batches AS b
WHERE user_id = $1 AND EXISTS (SELECT FROM batch_lines AS l WHERE l.batch_id = b.id)
ORDER BY created_at DESC, id DESC LIMIT $2;

-- name: batch_results
-- The next $4 finished lines of the batch $1 after the line $2 that are not in $3, as in submission_list.
SELECT l.line, s.job_id::text, s.user_id, u.username, s.problem_id, s.language, s.state, s.status, s.judging, s.created_at,
       s.updated_at, (s.result->>'score')::float8 AS score,
       (s.result->>'time_used')::float8::bigint AS time_used_ms,
       (s.result->>'memory_used')::float8::bigint AS memory_used_kb,
       false AS is_withheld, NULL::text AS override
FROM batch_lines AS l JOIN submissions AS s ON s.job_id = l.job_id JOIN users AS u ON u.id = s.user_id
WHERE l.batch_id = $1 AND l.line > $2 AND s.state IN ('done', 'dead') AND l.line <> ALL ($3::int[])
ORDER BY l.line LIMIT $4;

-- name: batch_unfinished
-- The first unfinished line of the batch $1 after the line $2.
SELECT l.line FROM batch_lines AS l JOIN submissions AS s ON s.job_id = l.job_id
WHERE l.batch_id = $1 AND l.line > $2 AND s.state IN ('pending', 'processing')
ORDER BY l.line LIMIT 1;

-- name: cancel_lines
-- Deletes submissions of the batch $1 that wait for their first attempt, of $2 lines at most, with these lines and their
-- outbox rows. One that another batch names stays; so does one that a node claims at this moment.
WITH waiting AS MATERIALIZED (
    SELECT s.id
    FROM batch_lines AS l JOIN submissions AS s ON s.job_id = l.job_id
    WHERE l.batch_id = $1 AND s.in_batch AND s.state = 'pending' AND s.attempt_id = 0
      AND NOT EXISTS (SELECT FROM batch_lines AS o WHERE o.job_id = l.job_id AND o.batch_id <> $1)
    ORDER BY s.id
    LIMIT $2
    FOR UPDATE OF s SKIP LOCKED
),
gone AS (
    DELETE FROM submissions WHERE id IN (SELECT id FROM waiting) RETURNING id
)
SELECT count(*) AS deleted FROM gone;

-- name: forget_batches
-- Deletes the batches that are $1 seconds old and have no line any more, $2 at most.
DELETE FROM batches WHERE id IN (
    SELECT b.id FROM batches AS b
    WHERE b.created_at <= now() - make_interval(secs => $1)
      AND NOT EXISTS (SELECT FROM batch_lines AS l WHERE l.batch_id = b.id)
    ORDER BY b.created_at LIMIT $2);
