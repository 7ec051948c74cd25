-- name: announce
-- Stores a node's languages and facts for $3 seconds from now; deletes nodes that have been silent for a day.
WITH forgotten AS (
    DELETE FROM node_languages WHERE live_until < now() - interval '1 day' AND node <> $1
)
INSERT INTO node_languages (node, languages, live_until, facts)
VALUES ($1, $2::text::jsonb, now() + make_interval(secs => $3), $4::text::jsonb)
ON CONFLICT (node) DO UPDATE
SET languages = excluded.languages, live_until = excluded.live_until, facts = excluded.facts;

-- name: withdraw_node
-- Forgets the announcement of a node that ends.
DELETE FROM node_languages WHERE node = $1;

-- name: live_languages
-- The languages of the live nodes: a row for each node and language; one without a language for a node that has none.
SELECT n.node, l.key AS language, l.value AS version
FROM node_languages AS n
LEFT JOIN LATERAL jsonb_each_text(n.languages) AS l ON true
WHERE n.live_until > now()
ORDER BY n.node, l.key;

-- name: announced_nodes
-- Up to $1 nodes that were announced within a day, by name. Isolation is that of a node's latest verdict among the $2
-- latest events of the ledger, read backwards by their key: the ledger itself may be of any size.
WITH latest AS MATERIALIZED (
    SELECT id, node, isolation, created_at FROM attempts ORDER BY id DESC LIMIT $2
),
judged AS (
    SELECT DISTINCT ON (node) node, isolation, created_at FROM latest WHERE isolation IS NOT NULL ORDER BY node, id DESC
)
SELECT n.node, n.languages::text AS languages, n.facts::text AS facts, n.live_until, n.live_until > now() AS is_live, j.isolation,
       j.created_at AS judged_at
FROM node_languages AS n LEFT JOIN judged AS j ON j.node = n.node
WHERE n.live_until > now() - interval '1 day'
ORDER BY n.node
LIMIT $1;
