DROP TABLE IF EXISTS attempts;
DROP FUNCTION IF EXISTS attempts_are_append_only();
