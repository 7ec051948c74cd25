-- name: announce
-- Stores a node's languages and facts for $3 seconds from now; it takes work for as long if $5, no longer if
-- not, and as announced before if $5 is NULL. Deletes nodes that have been silent for a day. "No longer" is an hour ago:
-- for a reader whose transaction began a moment earlier, the present itself is still to come; and nodes of the version
-- before delete what is a day old.
WITH forgotten AS (
    DELETE FROM node_languages WHERE greatest(live_until, seen_until) < now() - interval '1 day' AND node <> $1
)
INSERT INTO node_languages (node, languages, facts, seen_at, seen_until, live_until)
VALUES ($1, $2::text::jsonb, $4::text::jsonb, now(), now() + make_interval(secs => $3),
        now() + CASE WHEN $5::boolean THEN make_interval(secs => $3) ELSE interval '-1 hour' END)
ON CONFLICT (node) DO UPDATE
SET languages = excluded.languages, facts = excluded.facts, seen_at = excluded.seen_at, seen_until = excluded.seen_until,
    live_until = CASE WHEN $5::boolean IS NULL THEN node_languages.live_until ELSE excluded.live_until END;

-- name: withdraw_node
-- Forgets the announcement of a node that ends.
DELETE FROM node_languages WHERE node = $1;

-- name: live_languages
-- The languages of the nodes that take work: a row for each node and language; one without a language for a node that has none.
SELECT n.node, l.key AS language, l.value AS version
FROM node_languages AS n
LEFT JOIN LATERAL jsonb_each_text(n.languages) AS l ON true
WHERE n.live_until > now()
ORDER BY n.node, l.key;

-- name: announced_nodes
-- Up to $1 nodes that were announced within a day, live ones first, by name. Isolation is that of a node's latest verdict among the $2
-- latest events of the ledger, read backwards by their key: the ledger itself may be of any size. A node of the version
-- before, which leaves seen_until as it is, announced itself some time before the end of its announcement. A node that has
-- been silent for $3 seconds is not live and takes no work, although its announcement is valid for longer.
WITH latest AS MATERIALIZED (
    SELECT id, node, isolation, created_at FROM attempts ORDER BY id DESC LIMIT $2
),
judged AS (
    SELECT DISTINCT ON (node) node, isolation, created_at FROM latest WHERE isolation IS NOT NULL ORDER BY node, id DESC
)
SELECT n.node, n.languages::text AS languages, n.facts::text AS facts,
       heard.is_of_late AND greatest(n.live_until, n.seen_until) > now() AS is_live,
       heard.is_of_late AND n.live_until > now() AS takes_work, heard.at AS seen_at, j.isolation, j.created_at AS judged_at
FROM node_languages AS n LEFT JOIN judged AS j ON j.node = n.node
CROSS JOIN LATERAL (
    SELECT CASE WHEN n.seen_until >= n.live_until THEN n.seen_at ELSE least(n.live_until, now()) END AS at
) AS last
CROSS JOIN LATERAL (SELECT last.at, last.at > now() - make_interval(secs => $3) AS is_of_late) AS heard
WHERE greatest(n.live_until, n.seen_until) > now() - interval '1 day'
ORDER BY is_live DESC, n.node
LIMIT $1;
