-- Drafts and private problems are listed from then on: a node of the version before knows no others.
DROP FUNCTION IF EXISTS open_problems(bigint);
DROP TABLE IF EXISTS problem_groups;
DROP INDEX IF EXISTS idx_problems_tags;
ALTER TABLE problems DROP CONSTRAINT IF EXISTS problems_visibility_known;
ALTER TABLE problems DROP COLUMN IF EXISTS languages;
ALTER TABLE problems DROP COLUMN IF EXISTS tags;
ALTER TABLE problems DROP COLUMN IF EXISTS visibility;
