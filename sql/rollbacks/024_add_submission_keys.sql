DROP FUNCTION IF EXISTS keep_submission_key(bigint, text, uuid);
DROP FUNCTION IF EXISTS submission_of_key(bigint, text);
DROP FUNCTION IF EXISTS lock_submission_key(bigint, text);
DROP TABLE IF EXISTS submission_keys;
