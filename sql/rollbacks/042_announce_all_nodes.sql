-- Nothing is lost: announcements of nodes that take no work have no place in the table of the version before.
DELETE FROM node_languages AS n WHERE (to_jsonb(n) ->> 'seen_until')::timestamptz > n.live_until;
ALTER TABLE node_languages DROP COLUMN IF EXISTS seen_until;
ALTER TABLE node_languages DROP COLUMN IF EXISTS seen_at;
