-- name: create_group
-- Makes a group; returns no row if its name is taken. $2: who does it.
WITH made AS (
    INSERT INTO groups (name) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id, name, created_at
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $2::text, 'group_created', name, jsonb_build_object('group_id', id) FROM made
)
SELECT id, name, created_at, 0 AS members FROM made;

-- name: make_groups
-- The groups of the names $1, and makes those that are missing; locked until the transaction ends. $2: who does it.
WITH named AS (
    INSERT INTO groups (name)
    SELECT DISTINCT ON (lower(name) COLLATE "C") name FROM unnest($1::text[]) AS one (name)
    ORDER BY lower(name) COLLATE "C"
    ON CONFLICT (lower(name) COLLATE "C") DO UPDATE SET name = groups.name
    RETURNING id, name, xmax = 0 AS is_new
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $2::text, 'group_created', name, jsonb_build_object('group_id', id) FROM named WHERE is_new ORDER BY id
)
SELECT id, name FROM named ORDER BY id;

-- name: rename_group
-- Renames a group; a name that is taken is an error. $3: who does it.
WITH changed AS (
    UPDATE groups SET name = $2 WHERE id = $1 RETURNING id, name
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $3::text, 'group_renamed', c.name, jsonb_build_object('group_id', c.id, 'former_name', g.name)
    -- groups: as it was before this statement
    FROM changed AS c JOIN groups AS g ON g.id = c.id AND g.name <> c.name
)
SELECT id FROM changed;

-- name: remove_group
-- Removes a group; memberships go with it. $2: who does it.
WITH gone AS (
    DELETE FROM groups WHERE id = $1 RETURNING id, name
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $2::text, 'group_removed', name, jsonb_build_object('group_id', id) FROM gone
)
SELECT id FROM gone;

-- name: group
-- One group, by its id.
SELECT id, name, created_at, (SELECT count(*) FROM group_members WHERE group_id = groups.id) AS members
FROM groups WHERE id = $1;

-- name: group_named
-- One group, by its name.
SELECT id, name, created_at, (SELECT count(*) FROM group_members WHERE group_id = groups.id) AS members
FROM groups WHERE lower(name) COLLATE "C" = lower($1::text) COLLATE "C";

-- name: groups
-- A page of groups by name: those after $1.
SELECT id, name, created_at, (SELECT count(*) FROM group_members WHERE group_id = groups.id) AS members
FROM groups WHERE lower(name) COLLATE "C" > lower($1::text) COLLATE "C"
ORDER BY lower(name) COLLATE "C" LIMIT $2;

-- name: groups_of
-- The names of the groups of the accounts $1.
SELECT m.user_id, g.name
FROM group_members AS m JOIN groups AS g ON g.id = m.group_id
WHERE m.user_id = ANY ($1::bigint[]);

-- name: lock_group
-- Whether a group exists; it stays until this transaction ends.
SELECT id FROM groups WHERE id = $1 FOR KEY SHARE;

-- name: add_members
-- Puts the accounts of the names $2 into the group $1. $3: who does it; the log names those who were no members.
WITH made AS (
    INSERT INTO group_members (group_id, user_id)
    SELECT $1, id FROM users WHERE lower(username) = ANY (SELECT lower(name) FROM unnest($2::text[]) AS one (name))
    ORDER BY id
    ON CONFLICT DO NOTHING
    RETURNING user_id
)
INSERT INTO admin_events (actor, act, subject, details)
SELECT $3::text, 'group_members_added', g.name, jsonb_build_object('group_id', g.id, 'usernames', u.names)
FROM groups AS g CROSS JOIN (
    SELECT array_agg(username ORDER BY lower(username) COLLATE "C") AS names FROM users JOIN made ON made.user_id = users.id
) AS u
WHERE g.id = $1 AND u.names IS NOT NULL;

-- name: remove_member
-- Takes an account out of a group. $3: who does it.
WITH gone AS (
    DELETE FROM group_members WHERE group_id = $1 AND user_id = $2 RETURNING group_id, user_id
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $3::text, 'group_member_removed', g.name, jsonb_build_object('group_id', g.id, 'username', u.username)
    FROM gone JOIN groups AS g ON g.id = gone.group_id JOIN users AS u ON u.id = gone.user_id
)
SELECT user_id FROM gone;
