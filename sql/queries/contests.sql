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
    late_ms = $14, late_step_ms = $15, late_percent = $16, languages = $17, registration = $18,
    countdown_pause_ms = CASE WHEN $5::timestamptz IS NULL THEN countdown_pause_ms END
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

-- name: release_removed
-- Makes due what a removed contest has held: the submissions of a problem whose judging was paused.
UPDATE outbox_events SET next_attempt_at = now(), updated_at = now()
WHERE status = 'pending' AND next_attempt_at = 'infinity'
  AND job_id IN (SELECT job_id FROM submissions WHERE contest_id = $1)
RETURNING pg_notify('deepoj_outbox', '');

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
-- The event of an account whose name has changed, in each contest whose ledger has it. Of one that was taken out of a contest
-- it says once more that it is deleted: feeds have its earlier events with the name.
SELECT tell_contest(known.contest_id, 'accounts', $1::bigint::text,
                    CASE WHEN known.team_id IS NOT NULL
                         THEN jsonb_build_object('type', 'team', 'team_id', known.team_id) END)
FROM (SELECT DISTINCT ON (e.contest_id) e.contest_id, m.team_id
      FROM contest_events AS e
      LEFT JOIN contest_members AS m ON m.contest_id = e.contest_id AND m.user_id = $1::bigint
      WHERE e.type = 'accounts' AND e.object_id = $1::bigint::text
      ORDER BY e.contest_id) AS known;

-- name: tell_own_teams_of_account
-- The same event of each team that has the account's name: a team of one.
SELECT tell_contest(t.contest_id, 'teams', t.object_id, t.data)
FROM (SELECT DISTINCT ON (e.contest_id) e.contest_id, e.object_id, e.data
      FROM contest_members AS m
      JOIN contest_events AS e ON e.contest_id = m.contest_id AND e.type = 'teams' AND e.object_id = 'u' || m.user_id
      WHERE m.user_id = $1::bigint
      ORDER BY e.contest_id, e.number DESC) AS t
WHERE (t.data -> 'user_id')::bigint = $1::bigint;

-- name: register_in_contest
-- Puts an account into a team of its own, in a locked contest; no row if it is in a team.
INSERT INTO contest_members (contest_id, user_id, team_id) VALUES ($1, $2, $3)
ON CONFLICT (contest_id, user_id) DO NOTHING
RETURNING team_id;

-- name: own_team_of_account
-- The team of one of an account; locks the membership. No row: it is in another team, or in none, or those who run the
-- contest have bound, hidden or grouped it.
SELECT m.team_id,
       EXISTS (SELECT FROM submissions WHERE contest_id = $1 AND contest_team = m.team_id) AS is_used
FROM contest_members AS m
WHERE m.contest_id = $1 AND m.user_id = $2 AND m.team_id = $3 AND m.networks IS NULL
  AND NOT coalesce((SELECT e.data -> 'is_hidden' = 'true' OR e.data -> 'group_ids' <> '[]' FROM contest_events AS e
                    WHERE e.contest_id = $1 AND e.type = 'teams' AND e.object_id = m.team_id
                    ORDER BY e.number DESC LIMIT 1), false)
FOR UPDATE;

-- name: team_of
-- The team of an account.
SELECT team_id FROM contest_members WHERE contest_id = $1 AND user_id = $2;

-- name: contest_place
-- Where a submission belongs.
SELECT c.id AS contest_id, c.key, c.name, p.label, s.contest_team AS team_id, p.is_paused
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
       (SELECT label FROM contest_problems WHERE contest_id = $1 AND problem_id = p.id) AS label,
       coalesce((SELECT is_paused FROM contest_problems WHERE contest_id = $1 AND problem_id = p.id), false) AS is_paused
FROM problems AS p WHERE p.id = $2
FOR SHARE;

-- name: contest_problem
-- What the label $2 of the contest $1 has now: its problem, and the limits that count instead of the problem's.
SELECT problem_id, time_limit_ms, memory_limit_mb FROM contest_problems WHERE contest_id = $1 AND label = $2;

-- name: put_contest_problem
-- Gives a label to a problem. Another problem than before has none of its statements.
WITH dropped AS (
    DELETE FROM contest_texts AS t USING contest_problems AS p
    WHERE p.contest_id = $1 AND p.label = $2 AND p.problem_id <> $3
      AND t.contest_id = p.contest_id AND t.problem_id = p.problem_id
)
INSERT INTO contest_problems (contest_id, label, problem_id, time_limit_ms, memory_limit_mb) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (contest_id, label) DO UPDATE
SET is_paused = contest_problems.is_paused AND contest_problems.problem_id = excluded.problem_id,
    problem_id = excluded.problem_id, time_limit_ms = excluded.time_limit_ms, memory_limit_mb = excluded.memory_limit_mb;

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

-- name: is_contest_over_for
-- A row if the contest $2 has the problem $4 at the label $3 and takes no more submissions of the team of the account $1.
SELECT c.id FROM contest_members AS m
JOIN contests AS c ON c.id = m.contest_id
JOIN contest_problems AS p ON p.contest_id = c.id AND p.label = $3 AND p.problem_id = $4
LEFT JOIN contest_extensions AS x ON x.contest_id = m.contest_id AND x.team_id = m.team_id
WHERE m.user_id = $1 AND c.key = $2
  AND contest_moment(c, c.duration_ms + c.late_ms + coalesce(x.extra_ms, 0)) <= now();

-- name: contest_with_problem
-- The contest that refuses practice submissions of the account $1 to the problem $2: the first one whose condition in
-- submission_terms (migration 039) for CONTEST_PROBLEM holds. is_running: it takes submissions now.
SELECT found.key, found.name, found.label, found.is_running
FROM (
    SELECT c.id, c.key, c.name, p.label, c.feedback = 'hidden' AND c.closed_at IS NULL AS hides,
           contest_moment(c, c.duration_ms + c.late_ms + coalesce(x.extra_ms, 0)) > now() AS is_running
    FROM contest_members AS m
    JOIN contests AS c ON c.id = m.contest_id
    JOIN contest_problems AS p ON p.contest_id = c.id AND p.problem_id = $2
    LEFT JOIN contest_extensions AS x ON x.contest_id = m.contest_id AND x.team_id = m.team_id
    WHERE m.user_id = $1 AND c.start_at <= now()
) AS found
WHERE found.is_running OR found.hides
ORDER BY found.is_running DESC, found.id
LIMIT 1;

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
-- Whether a contest still takes submissions: homework takes late ones, and a team may have more time.
SELECT contest_open_ms(c) > c.duration_ms AND contest_moment(c, contest_open_ms(c)) > now() AS is_open
FROM contests AS c WHERE c.id = $1;

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

-- name: open_questions
-- How many questions of the team $2 the jury has not answered, neither themselves nor what the team added to them.
WITH RECURSIVE told AS MATERIALIZED (
    SELECT object_id AS id, data ->> 'from_team_id' AS team, data ->> 'reply_to_id' AS reply_to
    FROM contest_events WHERE contest_id = $1 AND type = 'clarifications'
), answered AS (
    SELECT reply_to AS id FROM told WHERE team IS NULL
    UNION
    SELECT told.reply_to FROM told JOIN answered USING (id)
)
SELECT count(*) AS questions FROM told
WHERE team = $2 AND NOT EXISTS (SELECT FROM answered WHERE answered.id = told.id);

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
               AND contest_moment(c, duration_ms - freeze_ms) <= now())
           OR (started_at IS NOT NULL AND ended_at IS NULL AND contest_moment(c, duration_ms) <= now())
           OR (ended_at IS NOT NULL AND closed_at IS NULL AND contest_moment(c, contest_open_ms(c)) <= now())
           OR (frozen_at IS NOT NULL AND ended_at IS NOT NULL AND thawed_at IS NULL AND thaw_at <= now()
               AND (feedback <> 'hidden' OR closed_at IS NOT NULL))
           OR (end_of_updates_at IS NULL AND finalized_at IS NOT NULL AND closed_at IS NOT NULL
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

-- name: contest_clock
-- How far a contest is, by the database's clock. elapsed_ms: NULL before the start.
SELECT date_trunc('milliseconds', now()) AS at, c.start_at, c.started_at, c.frozen_at, c.ended_at, c.thawed_at,
       c.finalized_at, c.closed_at, c.feedback = 'hidden' AND c.closed_at IS NOT NULL
                                    AND (c.frozen_at IS NULL OR c.thawed_at IS NOT NULL) AS has_shown_hidden,
       contest_moment(c, c.duration_ms) <= now() AS is_over,
       CASE WHEN c.start_at <= now() THEN contest_elapsed_ms(c, now()) END AS elapsed_ms
FROM contests AS c WHERE c.id = $1;

-- name: contest_state
-- What has happened in a contest, as its event says it.
SELECT contest_state_data(c) FROM contests AS c WHERE c.id = $1;

-- name: contest_object
-- What an object of a contest is, by its type and id.
SELECT data FROM contest_events WHERE contest_id = $1 AND type = $2 AND object_id = $3 ORDER BY number DESC LIMIT 1;

-- name: set_contest_start
-- Moves the start of a locked contest.
UPDATE contests SET start_at = $2, countdown_pause_ms = NULL WHERE id = $1;

-- name: pause_countdown
-- Keeps what is left until the start, or $2. No row: the start is not known and $2 is NULL, or it has come.
UPDATE contests
SET start_at = NULL, countdown_pause_ms = coalesce($2::bigint, floor(extract(epoch FROM start_at - now()) * 1000))
WHERE id = $1 AND (start_at > now() OR (start_at IS NULL AND $2::bigint IS NOT NULL))
RETURNING id;

-- name: resume_countdown
-- Starts the contest after what was left. No row: the countdown is not paused.
UPDATE contests
SET start_at = date_trunc('milliseconds', now()) + countdown_pause_ms * interval '1 millisecond', countdown_pause_ms = NULL
WHERE id = $1 AND countdown_pause_ms IS NOT NULL
RETURNING id;

-- name: pause_contest
-- Begins a pause of a locked contest. No row: it is paused.
INSERT INTO contest_intervals (contest_id, start_at)
SELECT id, date_trunc('milliseconds', now()) FROM contests WHERE id = $1 AND NOT removed @> now()
RETURNING id, contest_time_text(start_at) AS start_at, contest_time_text(end_at) AS end_at, is_restored;

-- name: resume_contest
-- Ends the pause of a locked contest. No row: it is not paused.
UPDATE contest_intervals SET end_at = date_trunc('milliseconds', now())
WHERE contest_id = $1 AND end_at IS NULL
RETURNING id, contest_time_text(start_at) AS start_at, contest_time_text(end_at) AS end_at, is_restored;

-- name: remove_interval
-- Notes that an interval of the contest's past is no time of it. No row: it is none.
INSERT INTO contest_intervals (contest_id, start_at, end_at)
SELECT id, $2::timestamptz, $3::timestamptz FROM contests
WHERE id = $1 AND start_at <= $2::timestamptz AND $2::timestamptz < $3::timestamptz AND $3::timestamptz <= now()
RETURNING id, contest_time_text(start_at) AS start_at, contest_time_text(end_at) AS end_at, is_restored;

-- name: restore_interval
-- Notes that an interval is time of the contest again; a pause ends. No row: there is none.
UPDATE contest_intervals SET is_restored = true, end_at = coalesce(end_at, date_trunc('milliseconds', now()))
WHERE contest_id = $1 AND id = $2 AND NOT is_restored
RETURNING id, contest_time_text(start_at) AS start_at, contest_time_text(end_at) AS end_at, is_restored;

-- name: set_contest_removed
-- Brings the intervals of a locked contest into its row.
UPDATE contests SET removed = coalesce((
    SELECT range_agg(tstzrange(i.start_at, i.end_at)) FROM contest_intervals AS i
    WHERE i.contest_id = $1 AND NOT i.is_restored), '{}')
WHERE id = $1;

-- name: settle_contest
-- Freeze and end that have happened are at the times that they have now, or are to come again.
UPDATE contests AS c
SET is_marking = c.is_marking AND contest_moment(c, c.duration_ms) <= now(),
    is_marked = c.is_marked AND contest_moment(c, c.duration_ms) <= now(),
    frozen_at = CASE WHEN c.frozen_at IS NOT NULL AND contest_moment(c, c.duration_ms - c.freeze_ms) <= now()
                     THEN contest_moment(c, c.duration_ms - c.freeze_ms) END,
    ended_at = CASE WHEN c.ended_at IS NOT NULL AND contest_moment(c, c.duration_ms) <= now()
                    THEN contest_moment(c, c.duration_ms) END,
    closed_at = CASE WHEN c.closed_at IS NOT NULL AND contest_moment(c, contest_open_ms(c)) <= now()
                     THEN contest_moment(c, contest_open_ms(c)) END,
    thawed_at = CASE WHEN c.thawed_at IS NOT NULL AND isfinite(contest_moment(c, c.duration_ms))
                     THEN greatest(c.thawed_at, contest_moment(c, c.duration_ms)) END
WHERE c.id = $1
RETURNING c.ended_at, c.thawed_at, c.closed_at;

-- name: freeze_contest
-- Freezes the board of a locked contest after $2 milliseconds, which is now.
UPDATE contests AS c SET freeze_ms = greatest(c.duration_ms - $2::bigint, 0), frozen_at = contest_moment(c, $2::bigint)
WHERE c.id = $1;

-- name: lift_freeze
-- Ends the freeze of a contest that runs: its board is not frozen any more.
UPDATE contests SET freeze_ms = NULL, frozen_at = NULL WHERE id = $1;

-- name: set_contest_thaw
-- Thaws the board of a contest that is over.
UPDATE contests SET thaw_at = date_trunc('milliseconds', now()) WHERE id = $1;

-- name: set_contest_length
-- Changes the length of a locked contest. A freeze that has happened stays where it is.
UPDATE contests
SET duration_ms = $2,
    freeze_ms = CASE WHEN frozen_at IS NULL THEN least(freeze_ms, $2) ELSE greatest(freeze_ms + $2 - duration_ms, 0) END
WHERE id = $1;

-- name: put_extension
-- Gives a team more time.
INSERT INTO contest_extensions (contest_id, team_id, extra_ms) VALUES ($1, $2, $3)
ON CONFLICT (contest_id, team_id) DO UPDATE SET extra_ms = excluded.extra_ms;

-- name: reopen_contest
-- A contest that was closed takes submissions again: a team has more time, or all may be later. No row: it does not.
UPDATE contests AS c SET closed_at = NULL
WHERE c.id = $1 AND c.closed_at IS NOT NULL AND contest_moment(c, contest_open_ms(c)) > now()
RETURNING c.id;

-- name: remove_extension
-- Takes the additional time of a team back. No row: it has none.
DELETE FROM contest_extensions WHERE contest_id = $1 AND team_id = $2 RETURNING team_id;

-- name: pause_problem
-- Pauses judging of a problem, or ends the pause. No row: it is so already.
UPDATE contest_problems SET is_paused = $3 WHERE contest_id = $1 AND label = $2 AND is_paused <> $3 RETURNING problem_id;

-- name: hold_outbox
-- Keeps back the events of a contest's problem that have not reached the stream. outbox_hold keeps back those that come.
WITH held AS MATERIALIZED (
    SELECT e.id FROM submissions AS s JOIN outbox_events AS e ON e.job_id = s.job_id
    WHERE s.contest_id = $1 AND s.problem_id = $2 AND s.state IN ('pending', 'processing') AND e.status = 'pending'
    ORDER BY e.id FOR UPDATE OF e
)
UPDATE outbox_events SET next_attempt_at = 'infinity', updated_at = now()
WHERE id = ANY (ARRAY (SELECT id FROM held)) AND status = 'pending';

-- name: release_outbox
-- Lets the events that were kept back go, and notifies the dispatcher.
WITH held AS MATERIALIZED (
    SELECT e.id FROM submissions AS s JOIN outbox_events AS e ON e.job_id = s.job_id
    WHERE s.contest_id = $1 AND s.problem_id = $2 AND e.status = 'pending' AND e.next_attempt_at = 'infinity'
    ORDER BY e.id FOR UPDATE OF e
)
UPDATE outbox_events SET next_attempt_at = now(), updated_at = now()
WHERE id = ANY (ARRAY (SELECT id FROM held))
RETURNING pg_notify('deepoj_outbox', '');

-- name: tell_contest_clock
-- The event of an act on a contest's clock. $2: who, $3: the act.
SELECT tell_contest($1, 'clock', (count(*) + 1)::text,
                    $3::jsonb || jsonb_build_object('by', $2::bigint, 'at', contest_time_text(now())))
FROM contest_events WHERE contest_id = $1 AND type = 'clock';
