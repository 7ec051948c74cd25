-- Nothing is lost.
DROP FUNCTION IF EXISTS login_networks(bigint, boolean, text[]);
DROP INDEX IF EXISTS idx_contest_members_bound;
