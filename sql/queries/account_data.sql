-- name: change_email
-- Sets or removes an account's e-mail address.
UPDATE users SET email = $2, updated_at = now() WHERE id = $1 AND erased_at IS NULL RETURNING true AS changed;

-- name: profile_for
-- Who sees an account's profile.
SELECT profile_for FROM users WHERE id = $1;

-- name: set_profile_for
-- Sets who sees an account's profile.
UPDATE users SET profile_for = $2, updated_at = now() WHERE id = $1 AND erased_at IS NULL;

-- name: own_submissions
-- The next $3 submissions of the user $1 after the place ($2, $4), oldest first, with their sources and results.
SELECT id, job_id::text, user_id, problem_id, language, code, entry_point, files, state, status, attempt_id, judging,
       error_code, error_message, result, created_at, updated_at, callback_url,
       contest_id IS NOT NULL AND is_judging_withheld(contest_id, id, judging) AS is_withheld,
       CASE WHEN contest_id IS NOT NULL THEN override_of(id, judging) END AS override
FROM submissions
WHERE user_id = $1 AND (created_at, id) > ($2, $4)
ORDER BY created_at, id
LIMIT $3;

-- name: own_runs
-- The custom runs of a user that are kept ($2 seconds after their end), by an index for each of the two kinds.
SELECT run_id::text, language, code, stdin, status, created_at, stdout, stderr
FROM runs WHERE user_id = $1 AND state IN ('pending', 'processing')
UNION ALL
SELECT run_id::text, language, code, stdin, status, created_at, stdout, stderr
FROM runs WHERE user_id = $1 AND state = 'done' AND finished_at > now() - make_interval(secs => $2);

-- name: erase_account
-- Erases an account. Its row stays for its submissions, under a pseudonym; all else that tells who it was goes. $2: the id of
-- the account that asks, its owner's or an administrator's; NULL: the operator $3. $4: this is the second try of a call whose
-- answer was lost. The log of acts names the pseudonym, also as its owner's.
WITH changed AS (
    UPDATE users
    SET username = 'deleted-' || id || CASE
            -- from before such names were reserved
            WHEN EXISTS (SELECT FROM users AS other WHERE lower(other.username) = 'deleted-' || $1::bigint)
            THEN '-' || left(gen_random_uuid()::text, 8) ELSE '' END,
        password_hash = '', password_is_temporary = false, email = NULL, github_id = NULL, avatar_url = NULL,
        is_admin = false, roles = '{}', is_disabled = true, profile_for = 'administrators', token_epoch = token_epoch + 1,
        webhook_epoch = webhook_epoch + 1, erased_at = now(), is_being_erased = true, updated_at = now()
    WHERE id = $1 AND erased_at IS NULL
    RETURNING id, username
),
memberships AS (DELETE FROM group_members WHERE user_id = (SELECT id FROM changed)),
sessions AS (DELETE FROM web_sessions WHERE user_id = (SELECT id FROM changed)),
tokens AS (DELETE FROM access_tokens WHERE user_id = (SELECT id FROM changed)),
custom_runs AS (DELETE FROM runs WHERE user_id = (SELECT id FROM changed)),
keys AS (DELETE FROM submission_keys WHERE user_id = (SELECT id FROM changed)),
contest_webhooks AS (DELETE FROM contest_webhooks WHERE user_id = (SELECT id FROM changed)),
passwords AS (DELETE FROM pending_passwords WHERE user_id = (SELECT id FROM changed)),
batch_keys AS (DELETE FROM batches WHERE user_id = (SELECT id FROM changed)),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT CASE WHEN $2 = id THEN username
                ELSE coalesce((SELECT u.username FROM users AS u WHERE u.id = $2::bigint), $3::text) END,
           'account_erased', username, jsonb_build_object('user_id', id)
    FROM changed
)
SELECT username FROM changed
UNION ALL
SELECT username FROM users WHERE id = $1 AND erased_at IS NOT NULL AND $4::boolean;

-- name: erase_sources
-- Removes sources of at most $1 submissions of erased accounts that have a verdict: an unfinished one, or a dead letter, must
-- still be judged. Where a source can occur elsewhere (the compiler quotes it, an event carries it), it goes as well.
WITH due AS MATERIALIZED (
    SELECT s.id, s.job_id
    FROM (SELECT id FROM users WHERE is_being_erased) AS u
    CROSS JOIN LATERAL (
        SELECT id, job_id FROM submissions
        WHERE user_id = u.id AND state = 'done' AND NOT is_erased
        LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
    ) AS s
    LIMIT $1
),
hooks AS (DELETE FROM webhook_deliveries WHERE job_id = ANY (ARRAY (SELECT job_id FROM due))),
events AS (
    UPDATE outbox_events SET payload = payload - 'code' - 'files' - 'entry_point'
    WHERE job_id = ANY (ARRAY (SELECT job_id FROM due))
),
previewed AS (
    UPDATE preview_jobs
    SET state = 'done', lease_owner = NULL, status = NULL, score = NULL, result = NULL, why = 'its source was erased',
        changed_at = now()
    WHERE job_id = ANY (ARRAY (SELECT job_id FROM due)) AND (state <> 'done' OR result IS NOT NULL)
),
rerun AS (DELETE FROM reruns WHERE job_id = ANY (ARRAY (SELECT job_id FROM due))),
former AS (
    UPDATE judgings SET result = jsonb_set(result, '{compile,output}', '""')
    WHERE job_id = ANY (ARRAY (SELECT job_id FROM due)) AND result #> '{compile,output}' IS NOT NULL
),
erased AS (
    UPDATE submissions
    SET code = '', entry_point = NULL, files = NULL, code_hash = ''::bytea, deduplicates = false,
        idempotency_key = NULL, callback_url = NULL, is_erased = true,
        result = CASE WHEN result #> '{compile,output}' IS NULL THEN result
                      ELSE jsonb_set(result, '{compile,output}', '""') END
    WHERE id = ANY (ARRAY (SELECT id FROM due))
    RETURNING id
)
SELECT count(*) FROM erased;

-- name: end_erasures
-- Marks accounts as erased whose submissions have no sources any more. Not within an hour: a request from before the erasure
-- may still store a submission.
UPDATE users SET is_being_erased = false
WHERE is_being_erased AND id = ANY (ARRAY (
    SELECT u.id
    FROM (SELECT id FROM users WHERE is_being_erased AND erased_at < now() - interval '1 hour') AS u
    LEFT JOIN LATERAL (
        SELECT true AS is_there FROM submissions WHERE user_id = u.id AND NOT is_erased LIMIT 1
    ) AS rest ON true
    WHERE rest.is_there IS NULL));
