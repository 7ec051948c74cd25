-- name: copy_contest
-- Makes the contest $2 with the rules and the languages of the contest $1, as one that has not happened; no row if the key is
-- taken. $3: its name, or NULL; $4: its start, or NULL; $5: the account that does it.
INSERT INTO contests
SELECT n.*
FROM contests AS c
CROSS JOIN LATERAL jsonb_populate_record(c, jsonb_build_object(
    'id', nextval(pg_get_serial_sequence('contests', 'id')), 'key', $2::text, 'name', coalesce($3::text, c.name),
    'start_at', $4::timestamptz, 'created_by', $5::bigint, 'created_at', now(), 'thaw_at', NULL, 'started_at', NULL,
    'frozen_at', NULL, 'ended_at', NULL, 'closed_at', NULL, 'thawed_at', NULL, 'finalized_at', NULL, 'end_of_updates_at', NULL,
    'is_marking', false, 'is_marked', false, 'countdown_pause_ms', NULL, 'removed', '{}')) AS n
WHERE c.id = $1
ON CONFLICT (key) DO NOTHING
RETURNING id;

-- name: copy_contest_rows
-- Gives the contest $2 a counter, and the problems of the contest $1; with $3 also its teams' accounts.
WITH counter AS (INSERT INTO contest_counters (contest_id) VALUES ($2)),
problems AS (
    INSERT INTO contest_problems
    SELECT n.* FROM contest_problems AS p
    CROSS JOIN LATERAL jsonb_populate_record(p, jsonb_build_object('contest_id', $2::bigint, 'is_paused', false)) AS n
    WHERE p.contest_id = $1
)
INSERT INTO contest_members
SELECT n.* FROM contest_members AS m
CROSS JOIN LATERAL jsonb_populate_record(m, jsonb_build_object('contest_id', $2::bigint, 'networks', NULL)) AS n
WHERE m.contest_id = $1 AND $3::boolean
ORDER BY m.user_id;

-- name: copy_contest_objects
-- Events of the contest $2: the objects of the types $3 that the contest $1 has, in the order of the types.
SELECT count(tell_contest($2, type, object_id, data - 'is_paused'))
FROM (
    SELECT type, object_id, data
    FROM (SELECT DISTINCT ON (type, object_id) type, object_id, data, number
          FROM contest_events WHERE contest_id = $1 AND type = ANY ($3::text[])
          ORDER BY type, object_id, number DESC) AS latest
    WHERE data IS NOT NULL
    ORDER BY array_position($3::text[], type), number
) AS told;

-- name: contest_team_is_used
-- Whether a team has submissions.
SELECT EXISTS (SELECT FROM submissions WHERE contest_id = $1 AND contest_team = $2) AS is_used;

-- name: set_team_networks
-- Binds the logins of a team's accounts to networks; NULL: to none. Returns the accounts.
UPDATE contest_members SET networks = $3::text[] WHERE contest_id = $1 AND team_id = $2 RETURNING user_id;

-- name: team_networks
-- The teams of a contest whose logins are bound, with all of their networks.
SELECT team_id, array_agg(DISTINCT n ORDER BY n) AS networks
FROM contest_members AS m CROSS JOIN LATERAL unnest(m.networks) AS n
WHERE m.contest_id = $1
GROUP BY team_id;

-- name: team_accounts
-- The accounts of the teams $2 of a contest, or of all, by team and name. is_mighty: it may do more than take part.
SELECT m.team_id, u.id, u.username, u.is_admin OR u.roles <> '{}' OR u.id IS NOT DISTINCT FROM c.created_by AS is_mighty
FROM contest_members AS m JOIN users AS u ON u.id = m.user_id JOIN contests AS c ON c.id = m.contest_id
WHERE m.contest_id = $1 AND ($2::text[] IS NULL OR m.team_id = ANY ($2)) AND u.erased_at IS NULL
ORDER BY m.team_id, lower(u.username);

-- name: accounts_with_role
-- Those of the names $2 whose accounts have a role on this site, or have made the contest $1.
SELECT wanted.name
FROM unnest($2::text[]) AS wanted (name) JOIN users AS u ON lower(u.username) = lower(wanted.name)
WHERE u.erased_at IS NULL
  AND (u.is_admin OR u.roles <> '{}' OR EXISTS (SELECT FROM contests AS c WHERE c.id = $1 AND c.created_by = u.id));

-- name: contest_drafts
-- The drafts among a contest's problems, each with the first other contest that has it and is not over for all (NULL: none): what
-- that one's teams shall not see before its start is not listed for everybody.
SELECT c.label, c.problem_id, other.key AS other_key, other.name AS other_name
FROM contest_problems AS c
JOIN problems AS p ON p.id = c.problem_id
LEFT JOIN LATERAL (
    SELECT o.key, o.name FROM contest_problems AS n JOIN contests AS o ON o.id = n.contest_id
    WHERE n.problem_id = c.problem_id AND n.contest_id <> $1 AND o.closed_at IS NULL
    ORDER BY o.id LIMIT 1
) AS other ON true
WHERE c.contest_id = $1 AND p.visibility = 'draft'
ORDER BY c.label;

-- name: list_drafts
-- Lists these drafts ($1, numbers of problems) for everybody; returns the numbers of those that were still drafts. $2: the account
-- that does it.
WITH opened AS (
    UPDATE problems SET visibility = 'listed', updated_at = now()
    WHERE id = ANY (ARRAY (SELECT id FROM problems WHERE id = ANY ($1::integer[]) ORDER BY id FOR NO KEY UPDATE))
      AND visibility = 'draft'
    RETURNING id, version
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT u.username, 'problem_changed', o.id::text, jsonb_build_object('fields', '["visibility"]'::jsonb, 'version', o.version)
    FROM opened AS o JOIN users AS u ON u.id = $2
)
SELECT id FROM opened;

-- name: keep_passwords
-- Stores the set $2 of new passwords for the accounts $3 of a contest: hashes ($4), by the account $5. Sets that have not taken
-- effect go with it if they share an account: the older slip of paper would be wrong.
WITH replaced AS (
    DELETE FROM pending_passwords AS p
    WHERE p.contest_id = $1 AND p.set_id <> $2 AND p.applied_at IS NULL
      AND p.set_id IN (SELECT o.set_id FROM pending_passwords AS o WHERE o.contest_id = $1 AND o.user_id = ANY ($3::bigint[]))
)
INSERT INTO pending_passwords (set_id, contest_id, user_id, password_hash, made_by)
SELECT $2, $1, n.user_id, n.password_hash, $5
FROM unnest($3::bigint[], $4::text[]) AS n (user_id, password_hash)
ON CONFLICT (set_id, user_id) DO NOTHING;

-- name: pending_passwords
-- The sets of new passwords of a contest, the newest first, with their accounts and how many of their sessions are open.
SELECT p.set_id, min(p.made_at) AS made_at, max(p.applied_at) AS applied_at, coalesce(max(m.username), '') AS made_by,
       array_agg(u.username ORDER BY lower(u.username)) AS usernames,
       sum((SELECT count(*) FROM web_sessions AS s WHERE s.user_id = u.id AND s.token_epoch = u.token_epoch))::int AS sessions
FROM pending_passwords AS p JOIN users AS u ON u.id = p.user_id LEFT JOIN users AS m ON m.id = p.made_by
WHERE p.contest_id = $1 AND p.made_at > now() - interval '1 day'
GROUP BY p.set_id ORDER BY min(p.made_at) DESC, p.set_id;

-- name: apply_passwords
-- Gives the accounts of the set $2 their new passwords, and ends their tokens and sessions; for the administrator $3. Accounts
-- that have left the contest or got a right meanwhile keep theirs. Returns the accounts that have theirs, also the second time.
WITH chosen AS MATERIALIZED (
    SELECT p.user_id, p.password_hash
    FROM pending_passwords AS p JOIN users AS u ON u.id = p.user_id JOIN contests AS c ON c.id = p.contest_id
    WHERE p.contest_id = $1 AND p.set_id = $2 AND p.applied_at IS NULL AND p.made_at > now() - interval '1 day'
      AND u.erased_at IS NULL AND NOT u.is_admin AND u.roles = '{}' AND u.id IS DISTINCT FROM c.created_by
      AND EXISTS (SELECT FROM contest_members AS m WHERE m.contest_id = c.id AND m.user_id = u.id)
    ORDER BY u.id FOR NO KEY UPDATE OF u
),
changed AS (
    UPDATE users AS u
    SET password_hash = n.password_hash, password_is_temporary = true, token_epoch = token_epoch + 1, updated_at = now()
    FROM chosen AS n WHERE u.id = n.user_id
    RETURNING u.id, u.username
),
used AS (
    UPDATE pending_passwords SET applied_at = now(), password_hash = ''
    WHERE set_id = $2 AND user_id IN (SELECT id FROM changed)
),
kept AS (
    DELETE FROM pending_passwords
    WHERE contest_id = $1 AND set_id = $2 AND applied_at IS NULL AND user_id NOT IN (SELECT id FROM changed)
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT a.username, 'password_reset', c.username, jsonb_build_object('user_id', c.id)
    FROM changed AS c JOIN users AS a ON a.id = $3
)
SELECT username FROM changed
UNION
SELECT u.username FROM pending_passwords AS p JOIN users AS u ON u.id = p.user_id
WHERE p.contest_id = $1 AND p.set_id = $2 AND p.applied_at IS NOT NULL
ORDER BY username;

-- name: drop_passwords
-- Throws away a set of new passwords that has not taken effect.
WITH gone AS (
    DELETE FROM pending_passwords WHERE contest_id = $1 AND set_id = $2 AND applied_at IS NULL RETURNING 1
)
SELECT count(*) FROM gone;

-- name: delete_old_passwords
-- Deletes new passwords that were made a day ago, at most $1 of them.
WITH old AS (
    SELECT set_id, user_id FROM pending_passwords WHERE made_at <= now() - interval '1 day'
    LIMIT $1 FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM pending_passwords AS p USING old WHERE p.set_id = old.set_id AND p.user_id = old.user_id RETURNING 1
)
SELECT count(*) FROM gone;
