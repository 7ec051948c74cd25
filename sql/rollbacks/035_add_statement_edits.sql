-- What was edited is lost: readers see it until the statements are made from the packages again.
DROP TABLE IF EXISTS statement_edits;
ALTER TABLE problems DROP COLUMN IF EXISTS statements_until;
ALTER TABLE problems DROP COLUMN IF EXISTS statement_edition;
