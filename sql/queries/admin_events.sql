-- name: admin_events
-- A page of administrative acts, newest first: rows below the id $1 (NULL: from the top).
SELECT id, at, actor, act, subject, details::text AS details
FROM admin_events
WHERE id < coalesce($1::bigint, 9223372036854775807)
ORDER BY id DESC
LIMIT $2;

-- name: record_backup
-- Notes that $1 has made a backup in the directory $2, with $3 objects.
INSERT INTO admin_events (actor, act, subject, details)
VALUES ($1, 'backed_up', $2, jsonb_build_object('objects', $3::bigint));
