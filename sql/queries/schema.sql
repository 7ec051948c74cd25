-- name: tables
-- The tables of this schema, sorted by name.
SELECT table_name::text AS name FROM information_schema.tables
WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name;

-- name: columns
-- The columns of one table, in their order, with their types.
SELECT column_name::text AS name, data_type::text AS type FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position;
