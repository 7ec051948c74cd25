-- name: create_contest
-- Makes a contest with its first events; no row if the key is taken. $20: who does it.
WITH made AS (
    INSERT INTO contests (key, kind, name, formal_name, is_public, start_at, duration_ms, freeze_ms, penalty_ms,
                          is_compile_error_free, thaw_at, feedback, is_verifying, allows_custom_runs, late_ms,
                          late_step_ms, late_percent, languages, registration, created_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
    ON CONFLICT (key) DO NOTHING
    RETURNING *
),
counter AS (INSERT INTO contest_counters (contest_id) SELECT id FROM made),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT u.username, 'contest_created', made.key, jsonb_build_object('contest_id', made.id)
    FROM made JOIN users AS u ON u.id = $20
)
SELECT * FROM made;

-- name: contest
-- One contest, by its key.
SELECT * FROM contests WHERE key = $1;

-- name: lock_contest
-- One contest, by its id, locked against changes. No verdict waits for this lock.
SELECT * FROM contests WHERE id = $1 FOR NO KEY UPDATE;

-- name: contests
-- The newest $3 contests; without $2 only those that the account $1 sees.
SELECT * FROM contests AS c
WHERE $2::boolean OR c.is_public OR c.created_by = $1
   OR EXISTS (SELECT FROM contest_members AS m WHERE m.contest_id = c.id AND m.user_id = $1)
ORDER BY c.start_at DESC NULLS FIRST, c.id DESC
LIMIT $3;

-- name: change_contest
-- Replaces the rules of a locked contest.
UPDATE contests
SET name = $2, formal_name = $3, is_public = $4, start_at = $5, duration_ms = $6, freeze_ms = $7, penalty_ms = $8,
    is_compile_error_free = $9, thaw_at = $10, feedback = $11, is_verifying = $12, allows_custom_runs = $13,
    late_ms = $14, late_step_ms = $15, late_percent = $16, languages = $17, registration = $18
WHERE id = $1
RETURNING *;

-- name: show_contest_marks
-- The first step of removing a contest: verdicts from now on make their marks (advance_contest says why they wait).
UPDATE contests SET is_marking = true WHERE id = (SELECT id FROM contests WHERE id = $1 FOR UPDATE) RETURNING id;

-- name: mark_contest
-- Writes the solved marks that a contest has kept back.
SELECT mark_contest($1) AS marked;

-- name: remove_contest
-- Removes a contest; its ledger goes with it. $2: who does it.
WITH gone AS (DELETE FROM contests WHERE id = $1 RETURNING id, key)
INSERT INTO admin_events (actor, act, subject, details)
SELECT u.username, 'contest_removed', gone.key, jsonb_build_object('contest_id', gone.id)
FROM gone JOIN users AS u ON u.id = $2
RETURNING id;

-- name: contest_act
-- A row of the log of administrative acts about the contest $1. $2: who, $3: which act, $4: its details.
INSERT INTO admin_events (actor, act, subject, details)
SELECT u.username, $3, c.key, jsonb_build_object('contest_id', c.id) || $4::jsonb
FROM contests AS c CROSS JOIN users AS u
WHERE c.id = $1 AND u.id = $2;

-- name: tell_contest_rules
-- The event of what a contest is.
SELECT tell_contest(c.id, 'contest', c.key, contest_data(c)) FROM contests AS c WHERE c.id = $1;

-- name: tell_contest_state
-- The event of a contest's state.
SELECT tell_contest(c.id, 'state', c.key, contest_state_data(c)) FROM contests AS c WHERE c.id = $1;

-- name: tell_contest_objects
-- Events of the types $2, ids $3 and data $4 of the contest $1, in this order.
SELECT count(tell_contest($1, type, id, data::jsonb))
FROM (SELECT type, id, data FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS o (type, id, data, n)
      ORDER BY n) AS told;

-- name: remove_contest_members
-- Takes the accounts of teams out of a contest.
DELETE FROM contest_members WHERE contest_id = $1 AND team_id = ANY ($2::text[]) RETURNING user_id;

-- name: tell_contests_of_account
-- The event of an account whose name has changed, in each contest in which it is.
SELECT tell_contest(m.contest_id, 'accounts', $1::bigint::text, jsonb_build_object('type', 'team', 'team_id', m.team_id))
FROM (SELECT contest_id, team_id FROM contest_members WHERE user_id = $1::bigint ORDER BY contest_id) AS m;

-- name: tell_own_teams_of_account
-- The same event of each team that has the account's name: a team of one.
SELECT tell_contest(t.contest_id, 'teams', t.object_id, t.data)
FROM (SELECT DISTINCT ON (e.contest_id) e.contest_id, e.object_id, e.data
      FROM contest_members AS m
      JOIN contest_events AS e ON e.contest_id = m.contest_id AND e.type = 'teams' AND e.object_id = m.team_id
      WHERE m.user_id = $1::bigint
      ORDER BY e.contest_id, e.number DESC) AS t
WHERE (t.data -> 'user_id')::bigint = $1::bigint;

-- name: register_in_contest
-- Puts an account into a team of its own, in a locked contest; no row if it is in a team.
INSERT INTO contest_members (contest_id, user_id, team_id) VALUES ($1, $2, $3)
ON CONFLICT (contest_id, user_id) DO NOTHING
RETURNING team_id;

-- name: own_team_of_account
-- The team of one of an account; locks the membership. No row: it is in another team, or in none.
SELECT m.team_id,
       EXISTS (SELECT FROM submissions WHERE contest_id = $1 AND contest_team = m.team_id) AS is_used
FROM contest_members AS m
WHERE m.contest_id = $1 AND m.user_id = $2 AND m.team_id = $3
FOR UPDATE;

-- name: team_of
-- The team of an account.
SELECT team_id FROM contest_members WHERE contest_id = $1 AND user_id = $2;

-- name: contest_place
-- Where a submission belongs.
SELECT c.id AS contest_id, c.key, c.name, p.label, s.contest_team AS team_id
FROM submissions AS s
JOIN contests AS c ON c.id = s.contest_id
JOIN contest_problems AS p ON p.contest_id = c.id AND p.problem_id = s.problem_id
WHERE s.job_id = $1;

-- name: judging_hosts
-- The nodes that judged the jobs $1.
SELECT job_id::text AS job_id, judging, node FROM attempts
WHERE job_id = ANY ($1::text[]::uuid[]) AND event = 'finalized' AND node IS NOT NULL;

-- name: problem_of_contest
-- What a problem's event says: title and limits, and the label that it has in the contest $1 already.
SELECT p.id, p.title, p.time_limit_ms, p.memory_limit_mb,
       (SELECT label FROM contest_problems WHERE contest_id = $1 AND problem_id = p.id) AS label
FROM problems AS p WHERE p.id = $2
FOR SHARE;

-- name: put_contest_problem
-- Gives a label to a problem.
INSERT INTO contest_problems (contest_id, label, problem_id, time_limit_ms, memory_limit_mb) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (contest_id, label) DO UPDATE
SET problem_id = excluded.problem_id, time_limit_ms = excluded.time_limit_ms, memory_limit_mb = excluded.memory_limit_mb;

-- name: taken_problem
-- One problem of a contest with the limits and the languages that count there.
SELECT p.id, p.title, p.description, p.difficulty, coalesce(t.time_limit_ms, p.time_limit_ms) AS time_limit_ms,
       coalesce(t.memory_limit_mb, p.memory_limit_mb) AS memory_limit_mb, p.compare,
       p.testcase_minio_path AS data_path, p.testcase_hash AS data_hash, p.version, p.unchecked, p.broken, p.created_by,
       p.visibility, p.tags,
       CASE WHEN c.languages = '{}' THEN p.languages WHEN p.languages = '{}' THEN c.languages
            ELSE ARRAY(SELECT unnest(c.languages) INTERSECT SELECT unnest(p.languages)) END AS languages
FROM contest_problems AS t JOIN contests AS c ON c.id = t.contest_id JOIN problems AS p ON p.id = t.problem_id
WHERE t.contest_id = $1 AND t.problem_id = $2;

-- name: remove_contest_problem
-- Takes a problem out of a contest.
DELETE FROM contest_problems WHERE contest_id = $1 AND label = $2 RETURNING problem_id;

-- name: contest_problem_is_used
-- Whether there are submissions to the problem of a label.
SELECT EXISTS (
    SELECT FROM submissions AS s JOIN contest_problems AS p ON p.contest_id = s.contest_id AND p.problem_id = s.problem_id
    WHERE s.contest_id = $1 AND p.label = $2) AS is_used;

-- name: accounts_named
-- The accounts of the names $1, without regard to case.
SELECT wanted.name, u.id, u.username
FROM unnest($1::text[]) AS wanted (name) JOIN users AS u ON lower(u.username) = lower(wanted.name)
WHERE u.erased_at IS NULL;

-- name: put_contest_members
-- Puts accounts into teams. $4: the networks of each, with commas; empty: they stay.
INSERT INTO contest_members (contest_id, user_id, team_id, networks)
SELECT $1, user_id, team_id, string_to_array(nullif(networks, ''), ',')
FROM unnest($2::bigint[], $3::text[], $4::text[]) AS m (user_id, team_id, networks)
ORDER BY user_id
ON CONFLICT (contest_id, user_id)
DO UPDATE SET team_id = excluded.team_id, networks = coalesce(excluded.networks, contest_members.networks);

-- name: contest_is_open
-- Whether a contest still takes submissions: homework takes late ones.
SELECT ended_at + late_ms * interval '1 millisecond' > now() AS is_open FROM contests WHERE id = $1;

-- name: contest_unjudged
-- How many submissions of a contest have no verdict.
SELECT count(*) AS unjudged FROM submissions WHERE contest_id = $1 AND state <> 'done';

-- name: contest_unanswered
-- How many questions of teams nobody has answered.
SELECT count(*) AS unanswered
FROM contest_events AS q
WHERE q.contest_id = $1 AND q.type = 'clarifications' AND q.data ->> 'from_team_id' IS NOT NULL
  AND NOT EXISTS (SELECT FROM contest_events AS a
                  WHERE a.contest_id = $1 AND a.type = 'clarifications' AND a.data ->> 'reply_to_id' = q.object_id);

-- name: contest_last_event
-- The number of a contest's last event; locks the counter until the end of the transaction.
SELECT last FROM contest_counters WHERE contest_id = $1 FOR UPDATE;

-- name: contest_clarification
-- A clarification by its id, and how many there are.
SELECT (SELECT count(*) FROM contest_events WHERE contest_id = $1 AND type = 'clarifications') AS number,
       $2::text IS NULL OR EXISTS (SELECT FROM contest_events WHERE contest_id = $1 AND type = 'clarifications'
                                   AND object_id = $2) AS is_known,
       contest_time_text(now()) AS at;

-- name: tell_contest_commentary
-- The event of a new remark $2 in the contest $1, whose row is locked. Returns its id.
SELECT told.id, tell_contest($1, 'commentary', told.id, $2::jsonb || jsonb_build_object('at', contest_time_text(now())))
FROM (SELECT (count(*) + 1)::text AS id FROM contest_events WHERE contest_id = $1 AND type = 'commentary') AS told;

-- name: finalize_contest
-- Finalizes a locked contest.
UPDATE contests SET finalized_at = date_trunc('milliseconds', now()) WHERE id = $1 RETURNING *;

-- name: close_contest_ledger
-- From now on verdicts of rejudges are no events of the contest.
UPDATE contest_counters SET is_final = true WHERE contest_id = $1;

-- name: due_contests
-- The contests whose state may change by itself now, or whose marks are due; and of all whose state may still change, how
-- many run, and how many events they have.
SELECT coalesce(array_agg(c.id ORDER BY c.id) FILTER (WHERE
           (is_marking AND NOT is_marked)
           OR (started_at IS NULL AND start_at <= now())
           OR (started_at IS NOT NULL AND frozen_at IS NULL AND ended_at IS NULL AND freeze_ms IS NOT NULL
               AND start_at + (duration_ms - freeze_ms) * interval '1 millisecond' <= now())
           OR (started_at IS NOT NULL AND ended_at IS NULL
               AND start_at + duration_ms * interval '1 millisecond' <= now())
           OR (frozen_at IS NOT NULL AND ended_at IS NOT NULL AND thawed_at IS NULL AND thaw_at <= now())
           OR (end_of_updates_at IS NULL AND finalized_at IS NOT NULL AND ended_at IS NOT NULL
               AND (frozen_at IS NULL OR thawed_at IS NOT NULL))), '{}') AS due,
       count(*) FILTER (WHERE started_at IS NOT NULL AND ended_at IS NULL) AS running,
       coalesce(sum(k.last), 0)::bigint AS events
FROM contests AS c JOIN contest_counters AS k ON k.contest_id = c.id
WHERE end_of_updates_at IS NULL OR NOT is_marked;

-- name: advance_contest
-- Lets happen what is due in a contest. Returns how much did.
SELECT advance_contest($1) AS told;

-- name: contest_events
-- The next $3 events after the number $2.
-- The ledger has no names of people: that of an account or of its team of one is added here, and an erased account has
-- its pseudonym.
SELECT number, at, type, object_id,
       CASE WHEN type = 'accounts' AND object_id ~ '^[0-9]{1,18}$' THEN jsonb_build_object(
                'username', (SELECT u.username FROM users AS u WHERE u.id = object_id::bigint)) || data
            WHEN type = 'teams' AND data ? 'user_id' THEN data || coalesce(
                (SELECT jsonb_build_object('name', u.username, 'display_name', u.username)
                 FROM users AS u WHERE u.id = (data -> 'user_id')::bigint), '{}')
            ELSE data END AS data
FROM contest_events
WHERE contest_id = $1 AND number > $2
ORDER BY number
LIMIT $3;

-- name: contest_waits
-- Of the latest $2 submissions of the contest $1 with the verdict of their first judging: how long they waited for a claim,
-- and how long their judging took, in milliseconds. A rejudge waits by design.
WITH latest AS MATERIALIZED (
    SELECT job_id, created_at, updated_at, result
    FROM submissions
    WHERE contest_id = $1 AND state = 'done' AND judging = 1
    ORDER BY id DESC
    LIMIT $2
),
timed AS (
    SELECT extract(epoch FROM claimed.first - s.created_at) * 1000 AS wait_ms,
           extract(epoch FROM s.updated_at - claimed.last) * 1000 AS judging_ms,
           coalesce((s.result -> 'compile' ->> 'wall_ms')::bigint, 0) AS compile_ms,
           coalesce((SELECT sum((test ->> 'wall_ms')::bigint)
                     FROM jsonb_array_elements(CASE jsonb_typeof(s.result -> 'tests') WHEN 'array'
                                               THEN s.result -> 'tests' ELSE '[]' END) AS test), 0) AS run_ms
    FROM latest AS s
    CROSS JOIN LATERAL (
        SELECT min(a.created_at) AS first, max(a.created_at) AS last FROM attempts AS a
        WHERE a.job_id = s.job_id AND a.judging = 1 AND a.event = 'claimed'
    ) AS claimed
    WHERE claimed.first IS NOT NULL
)
SELECT count(*) AS count,
       coalesce(round(percentile_disc(0.5) WITHIN GROUP (ORDER BY wait_ms)), 0)::bigint AS wait_p50_ms,
       coalesce(round(percentile_disc(0.99) WITHIN GROUP (ORDER BY wait_ms)), 0)::bigint AS wait_p99_ms,
       coalesce(round(percentile_disc(0.5) WITHIN GROUP (ORDER BY judging_ms)), 0)::bigint AS judging_p50_ms,
       coalesce(round(percentile_disc(0.99) WITHIN GROUP (ORDER BY judging_ms)), 0)::bigint AS judging_p99_ms,
       coalesce(round(sum(judging_ms)), 0)::bigint AS judging_sum_ms,
       coalesce(sum(compile_ms), 0)::bigint AS compile_sum_ms,
       coalesce(sum(run_ms), 0)::bigint AS run_sum_ms
FROM timed;
