-- name: preview_open
-- The preview of a problem that waits for its end or for a decision.
SELECT id, problem_version, in_full, verdict, language, since, until, state, contest_rejudge_id
FROM previews WHERE problem_id = $1 AND state IN ('running', 'ready') FOR NO KEY UPDATE;

-- name: preview_begin
-- Creates a preview of the submissions that have a verdict: those with the verdict $5, in the language $6, submitted since
-- $7 and before $8, of the jobs $10 (chosen by the verdict that counts in their contest); NULL: any. Nothing is created if there are none, or more than $9. $4: the account
-- that asks. $11: the rejudge of a contest of which the preview is a part.
--
-- The lock waits for an erasure of a source, which ends only the jobs that it sees.
WITH
theirs AS MATERIALIZED (
    SELECT id, job_id, judging, attempt_id, status, (result ->> 'score')::float8 AS score, language
    FROM submissions
    WHERE problem_id = $1 AND state = 'done' AND NOT is_erased
      AND ($10::uuid[] IS NOT NULL OR $5::text IS NULL OR status = $5) AND ($6::text IS NULL OR language = $6)
      AND ($7::timestamptz IS NULL OR created_at >= $7) AND ($8::timestamptz IS NULL OR created_at < $8)
      AND ($10::uuid[] IS NULL OR job_id = ANY ($10))
    ORDER BY id
    LIMIT $9::bigint + 1
    FOR SHARE
),
made AS (
    INSERT INTO previews (problem_id, problem_version, in_full, ordered_by, verdict, language, since, until, submissions,
                          contest_rejudge_id)
    SELECT $1, $2, $3, $4, $5::text, $6::text, $7::timestamptz, $8::timestamptz, n, $11::bigint
    FROM (SELECT count(*) AS n FROM theirs) AS counted WHERE n BETWEEN 1 AND $9::bigint
    RETURNING *
),
jobs AS (
    INSERT INTO preview_jobs (preview_id, place, job_id, judging, base_attempt_id, old_status, old_score, language)
    SELECT m.id, row_number() OVER (ORDER BY t.id), t.job_id, t.judging, t.attempt_id, t.status, t.score, t.language
    FROM theirs AS t CROSS JOIN made AS m
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT u.username, 'preview_started', m.problem_id::text,
           jsonb_build_object('preview', m.id, 'submissions', m.submissions, 'in_full', m.in_full) || jsonb_strip_nulls(
               jsonb_build_object('verdict', m.verdict, 'language', m.language, 'since', m.since, 'until', m.until))
    FROM made AS m JOIN users AS u ON u.id = m.ordered_by
)
SELECT (SELECT count(*) FROM theirs) AS found, (SELECT id FROM made) AS id;

-- name: previews_of_setter
-- The number of running previews of the problems that the account $1 has made, without the problem $2.
SELECT count(*)
FROM previews AS v JOIN problems AS p ON p.id = v.problem_id
WHERE v.state = 'running' AND p.created_by = $1 AND v.problem_id <> $2;

-- name: expire_previews
-- Cancels at most $2 previews that have been ready for $1 seconds: their submissions hold results.
WITH
old AS MATERIALIZED (
    SELECT id FROM previews
    WHERE state = 'ready' AND judged_at < now() - make_interval(secs => $1)
    ORDER BY id
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
),
ended AS (
    UPDATE previews SET state = 'cancelled', decided_at = now()
    WHERE id = ANY (ARRAY (SELECT id FROM old))
    RETURNING pg_notify('deepoj_live', 'preview-' || id)
),
emptied AS (
    UPDATE preview_jobs SET result = NULL WHERE preview_id = ANY (ARRAY (SELECT id FROM old))
)
SELECT count(*) AS expired FROM ended;

-- name: preview_cancel
-- Cancels an open preview; a node that judges for it is refused the outcome. $2: the account that asks.
WITH
ended AS (
    UPDATE previews SET state = 'cancelled', decided_by = $2, decided_at = now()
    WHERE id = $1 AND state IN ('running', 'ready')
    RETURNING id, problem_id, decided_by, pg_notify('deepoj_live', 'preview-' || id)
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT u.username, 'preview_cancelled', e.problem_id::text, jsonb_build_object('preview', e.id)
    FROM ended AS e JOIN users AS u ON u.id = e.decided_by
)
UPDATE preview_jobs SET state = 'done', lease_owner = NULL, result = NULL, changed_at = now()
WHERE preview_id = $1 AND (SELECT count(*) FROM ended) = 1;

-- name: preview_of
-- The preview $2 of the problem $1, locked.
SELECT id, problem_version, in_full, state, contest_rejudge_id
FROM previews WHERE problem_id = $1 AND id = $2 FOR NO KEY UPDATE;

-- name: previews_of
-- The newest $3 previews of a problem, or the one with the id $2, with what has been judged.
SELECT v.id, v.problem_id, v.problem_version, v.in_full, v.verdict, v.language, v.since, v.until, v.submissions, v.state,
       v.created_at, v.judged_at, v.decided_at, o.username AS ordered_by, d.username AS decided_by,
       v.applied, CASE v.state WHEN 'applied' THEN v.submissions - v.applied ELSE 0 END AS left_out,
       j.ended, j.judged, j.changed
FROM previews AS v
LEFT JOIN users AS o ON o.id = v.ordered_by
LEFT JOIN users AS d ON d.id = v.decided_by
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'done') AS ended, count(status) AS judged,
           count(*) FILTER (WHERE is_changed) AS changed
    FROM preview_jobs WHERE preview_id = v.id
) AS j
WHERE v.problem_id = $1 AND ($2::bigint IS NULL OR v.id = $2)
ORDER BY v.id DESC
LIMIT $3;

-- name: preview_verdicts
-- Counts the old verdicts and those of the preview, and the submissions of which the score alone changes.
SELECT old_status AS before, status AS after, count(*) AS count,
       count(*) FILTER (WHERE is_changed AND status = old_status) AS score_changes
FROM preview_jobs WHERE preview_id = $1
GROUP BY 1, 2
ORDER BY count DESC, before, after;

-- name: preview_failures
-- Counts the $2 most frequent reasons why submissions of a preview were not judged.
SELECT why, count(*) AS count
FROM preview_jobs WHERE preview_id = $1 AND status IS NULL AND why <> ''
GROUP BY 1
ORDER BY count DESC, why COLLATE "C"
LIMIT $2;

-- name: preview_changes
-- The first $2 submissions of a preview whose verdict or score it changes, newest first.
SELECT j.job_id::text, u.username, j.old_status AS before, j.status AS after, j.old_score AS score_before,
       j.score AS score_after, j.is_applied
FROM preview_jobs AS j JOIN submissions AS s ON s.job_id = j.job_id JOIN users AS u ON u.id = s.user_id
WHERE j.preview_id = $1 AND j.is_changed
ORDER BY j.place DESC
LIMIT $2;

-- name: past_rejudges
-- The newest $2 rejudges and previews of a problem; a rejudge has no preview_id.
SELECT * FROM (
    (SELECT NULL::bigint AS preview_id, r.ordered_by AS who, r.ordered_at AS began_at,
            CASE WHEN r.finished_at IS NULL THEN 'running' ELSE 'applied' END AS state, r.problem_version, r.in_full,
            r.verdict, r.language, r.since, r.until, r.submissions, r.opened AS rejudged
     FROM rejudges AS r WHERE r.problem_id = $1 ORDER BY r.id DESC LIMIT $2)
    UNION ALL
    (SELECT v.id, u.username, v.created_at, v.state, v.problem_version, v.in_full, v.verdict, v.language, v.since, v.until,
            v.submissions, v.applied
     FROM previews AS v LEFT JOIN users AS u ON u.id = v.ordered_by
     WHERE v.problem_id = $1 ORDER BY v.id DESC LIMIT $2)
) AS past
ORDER BY began_at DESC, preview_id DESC NULLS LAST
LIMIT $2;

-- name: claim_preview_job
-- Claims the next submission that is due, in a language of $4, with fewer than $3 attempts; the oldest preview first.
-- former: the result whose unchanged tests may be taken over.
WITH
free AS MATERIALIZED (
    SELECT preview_id, place
    FROM preview_jobs
    WHERE state IN ('pending', 'processing') AND due_at <= now() AND attempts < $3 AND language = ANY ($4::text[])
      AND (avoid_owner IS DISTINCT FROM $1 OR avoid_until <= now())
    ORDER BY preview_id, place
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
),
claimed AS (
    UPDATE preview_jobs AS j
    SET state = 'processing', attempt_id = j.attempt_id + 1, attempts = j.attempts + 1, lease_owner = $1,
        due_at = now() + make_interval(secs => $2), changed_at = now()
    FROM free
    WHERE j.preview_id = free.preview_id AND j.place = free.place
    RETURNING j.*
)
SELECT c.preview_id, c.place, c.attempt_id, c.attempts, v.problem_id, v.problem_version, c.language, s.code, s.entry_point,
       s.files, c.job_id::text, s.trace_id, c.base_attempt_id,
       CASE WHEN NOT v.in_full AND s.judging = c.judging AND s.status <> 'System Error' THEN s.result END AS former,
       p.time_limit_ms, p.memory_limit_mb
FROM claimed AS c JOIN previews AS v ON v.id = c.preview_id JOIN submissions AS s ON s.job_id = c.job_id
LEFT JOIN contest_problems AS p ON p.contest_id = s.contest_id AND p.problem_id = s.problem_id;

-- name: extend_preview_job
-- Extends the lease of a submission that is being judged, if it is still valid.
UPDATE preview_jobs
SET due_at = greatest(due_at, now() + make_interval(secs => $5))
WHERE preview_id = $1 AND place = $2 AND attempt_id = $3 AND lease_owner = $4 AND state = 'processing' AND due_at > now()
RETURNING place;

-- name: finish_preview_job
-- Writes what judging a submission found, for the attempt that holds the lease. (As in finish_example, the owner stays.)
WITH
target AS MATERIALIZED (
    SELECT preview_id, place, state = 'done' AS is_written
    FROM preview_jobs
    WHERE preview_id = $1 AND place = $2 AND attempt_id = $3 AND lease_owner = $4
      AND (state = 'done' OR (state = 'processing' AND due_at > now()))
    FOR NO KEY UPDATE
),
written AS (
    UPDATE preview_jobs AS j
    SET state = 'done', status = $5, score = $6, isolation = $7, result = $8::jsonb, why = $9, changed_at = now()
    FROM target
    WHERE j.preview_id = target.preview_id AND j.place = target.place AND NOT target.is_written
    RETURNING pg_notify('deepoj_live', 'preview-' || j.preview_id)
)
SELECT (SELECT count(*) FROM target) = 1 AS is_written, (SELECT count(*) FROM written) AS notified;

-- name: give_back_preview_job
-- Releases the claim: due again after $6 seconds. $5: the attempt counts; then another node may take it a minute earlier
-- than this one, which may be broken.
UPDATE preview_jobs
SET state = 'pending', lease_owner = NULL, avoid_owner = CASE WHEN $5::boolean THEN lease_owner END,
    avoid_until = now() + make_interval(secs => $6) + interval '1 minute', due_at = now() + make_interval(secs => $6), changed_at = now(),
    attempts = attempts - CASE WHEN $5::boolean THEN 0 ELSE 1 END
WHERE preview_id = $1 AND place = $2 AND attempt_id = $3 AND lease_owner = $4 AND state = 'processing' AND due_at > now()
RETURNING place;

-- name: sweep_previews
-- Ends previews of an older version of their problem, and those whose submissions have all ended. A submission ends
-- unjudged if its attempts ($1) are used up, or if no node has touched a submission of any preview for $2 seconds: nodes
-- take the oldest preview first, so a younger one may wait for hours. While no node takes work, because there is none or
-- the canaries have shut the gates of all, that time does not pass: a submission is touched now and then instead.
--
-- Locks the preview, then its submissions, as Apply and Cancel do; claims lock submissions alone.
WITH
waiting AS MATERIALIZED (
    SELECT v.id, v.state, p.version <> v.problem_version AS is_outdated
    FROM previews AS v JOIN problems AS p ON p.id = v.problem_id
    WHERE v.state IN ('running', 'ready')
    ORDER BY v.id
    FOR NO KEY UPDATE OF v SKIP LOCKED
),
dropped AS (
    UPDATE preview_jobs AS j
    SET state = 'done', lease_owner = NULL, result = NULL, changed_at = now()
    FROM waiting AS w
    WHERE j.preview_id = w.id AND w.is_outdated
),
live AS MATERIALIZED (
    SELECT array_agg(DISTINCT l.key) AS languages, count(*) > 0 AS is_there
    FROM node_languages AS n LEFT JOIN LATERAL jsonb_object_keys(n.languages) AS l (key) ON true
    WHERE n.live_until > now()
),
idle AS MATERIALIZED (
    SELECT l.languages, l.is_there AND c.latest <= now() - make_interval(secs => $2) AS is_idle,
           NOT l.is_there AND c.latest <= now() - make_interval(secs => $2 / 10) AS is_touched
    FROM live AS l CROSS JOIN (SELECT max(changed_at) AS latest FROM preview_jobs) AS c
),
next AS MATERIALIZED (
    SELECT w.id, (SELECT min(j.place) FROM preview_jobs AS j
                  WHERE j.preview_id = w.id AND j.state IN ('pending', 'processing') AND j.attempts < $1) AS place
    FROM waiting AS w CROSS JOIN idle
    WHERE idle.is_touched AND w.state = 'running' AND NOT w.is_outdated
    ORDER BY w.id
    LIMIT 1
),
touched AS (
    UPDATE preview_jobs AS j SET changed_at = now() FROM next WHERE j.preview_id = next.id AND j.place = next.place
),
hopeless AS (
    UPDATE preview_jobs AS j
    SET state = 'done', lease_owner = NULL, changed_at = now(),
        why = CASE WHEN j.attempts >= $1 THEN 'each node that tried stopped answering'
                   WHEN j.language = ANY (idle.languages) THEN 'no judge node took it in time'
                   ELSE 'no judge node has the language ' || j.language END
    FROM waiting AS w CROSS JOIN idle
    WHERE j.preview_id = w.id AND NOT w.is_outdated AND j.state IN ('pending', 'processing') AND j.due_at <= now()
      AND (j.attempts >= $1 OR idle.is_idle)
    RETURNING j.preview_id
),
ended AS (
    UPDATE previews AS v
    SET state = CASE WHEN w.is_outdated THEN 'outdated' ELSE 'ready' END, judged_at = now()
    FROM waiting AS w
    WHERE v.id = w.id
      AND (w.is_outdated
           OR w.state = 'running'
              AND (SELECT count(*) FROM preview_jobs AS j WHERE j.preview_id = w.id AND j.state IN ('pending', 'processing'))
                  = (SELECT count(*) FROM hopeless AS h WHERE h.preview_id = w.id))
    RETURNING v.state, pg_notify('deepoj_live', 'preview-' || v.id)
)
SELECT (SELECT count(*) FROM ended) AS ended,
       (SELECT count(*) FROM previews WHERE state = 'running') AS running, (SELECT count(*) FROM hopeless) AS hopeless;

-- name: count_previews
-- The number of running previews.
SELECT count(*) AS running FROM previews WHERE state = 'running';

-- name: forget_previews
-- Deletes at most $2 previews that are older than $1 seconds.
DELETE FROM previews
WHERE id = ANY (ARRAY (SELECT id FROM previews WHERE created_at < now() - make_interval(secs => $1) LIMIT $2));

-- name: preview_apply
-- Apply, first half: opens the next judging of each submission of the preview $1 that still has the verdict it began from,
-- and writes the judging's whole history. $2: the account that asks.
--
-- The attempt is the node's that judged; no node could claim it, for it begins and ends in this transaction. Its lease
-- ends a minute after that, since the audit demands a verdict within a lease.
-- Rows are named by arrays (see mark_delivered), and each finds its row of the preview by its own index ("+ 0": not by the
-- preview's, which would read all of them each time).
WITH
locked AS MATERIALIZED (
    SELECT id, job_id, judging, attempt_id, status, error_code, error_message, result, updated_at
    FROM submissions
    WHERE id = ANY (ARRAY (SELECT id FROM submissions WHERE job_id = ANY (ARRAY (
              SELECT job_id FROM preview_jobs WHERE preview_id = $1 AND status IS NOT NULL))))
      AND state = 'done' AND NOT is_erased
    ORDER BY id
    FOR NO KEY UPDATE
),
target AS MATERIALIZED (
    SELECT l.*, j.place, j.lease_owner, j.status AS new_status, j.isolation
    FROM locked AS l CROSS JOIN LATERAL (
        SELECT place, judging, base_attempt_id, lease_owner, status, isolation
        FROM preview_jobs WHERE job_id = l.job_id AND preview_id + 0 = $1 OFFSET 0
    ) AS j
    WHERE j.judging = l.judging AND j.base_attempt_id = l.attempt_id
),
kept AS (
    INSERT INTO judgings (job_id, judging, attempt_id, status, error_code, error_message, result, replaced_in_full,
                          finished_at)
    SELECT t.job_id, t.judging, t.attempt_id, t.status, t.error_code, t.error_message, t.result, v.in_full, t.updated_at
    FROM target AS t CROSS JOIN previews AS v WHERE v.id = $1
),
opened AS (
    UPDATE submissions AS s
    SET state = 'pending', status = 'pending', judging = s.judging + 1, attempt_id = s.attempt_id + 1,
        judging_attempts = 1, result = NULL, deduplicates = false, error_code = NULL, error_message = NULL,
        avoid_owner = NULL, avoid_until = NULL, updated_at = now()
    WHERE s.id = ANY (ARRAY (SELECT id FROM target))
    RETURNING s.id
),
marked AS (
    UPDATE preview_jobs SET is_applied = true
    WHERE preview_id = $1 AND place = ANY (ARRAY (SELECT place FROM target))
),
ledger AS (
    INSERT INTO attempts (job_id, judging, attempt_id, event, node, lease_until, isolation, outcome, detail)
    SELECT t.job_id, t.judging + 1, t.attempt_id + CASE step.event WHEN 'rejudged' THEN 0 ELSE 1 END, step.event,
           CASE step.event WHEN 'rejudged' THEN (SELECT username FROM users WHERE id = $2) ELSE t.lease_owner END,
           CASE step.event WHEN 'rejudged' THEN NULL ELSE now() + interval '1 minute' END,
           CASE step.event WHEN 'finalized' THEN t.isolation END, CASE step.event WHEN 'finalized' THEN t.new_status END,
           'preview ' || $1::bigint
    FROM target AS t CROSS JOIN (VALUES (1, 'rejudged'), (2, 'claimed'), (3, 'finalized')) AS step (n, event)
    ORDER BY t.id, step.n
)
SELECT (SELECT count(*) FROM target) AS applied, (SELECT count(*) FROM opened) AS opened;

-- name: preview_marks
-- Apply, between its halves: locks the marks that its verdicts may change, in the order in which retention does.
SELECT user_id
FROM solved
WHERE problem_id = $2 AND user_id = ANY (ARRAY (
    SELECT user_id FROM submissions WHERE job_id = ANY (ARRAY (
        SELECT job_id FROM preview_jobs WHERE preview_id = $1 AND is_applied))))
ORDER BY user_id
FOR UPDATE;

-- name: preview_write
-- Apply, second half: the verdicts. A statement of its own, so that the triggers see a judging that ends: webhooks, marks.
UPDATE submissions AS s
SET state = 'done', updated_at = now(),
    (status, result) = (SELECT status, result FROM preview_jobs WHERE job_id = s.job_id AND preview_id + 0 = $1)
WHERE id = ANY (ARRAY (SELECT id FROM submissions WHERE job_id = ANY (ARRAY (
          SELECT job_id FROM preview_jobs WHERE preview_id = $1 AND is_applied))));

-- name: preview_end
-- Apply, the end: the preview keeps no results.
WITH
ended AS (
    UPDATE previews SET state = 'applied', decided_by = $2, decided_at = now(), applied = $3
    WHERE id = $1
    RETURNING id, problem_id, submissions, applied, decided_by, pg_notify('deepoj_live', 'preview-' || id)
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT u.username, 'preview_applied', e.problem_id::text,
           jsonb_build_object('preview', e.id, 'submissions', e.applied, 'left_out', e.submissions - e.applied)
    FROM ended AS e JOIN users AS u ON u.id = e.decided_by
)
UPDATE preview_jobs SET result = NULL WHERE preview_id = $1 AND (SELECT count(*) FROM ended) = 1;
