DROP INDEX IF EXISTS idx_problems_unchecked;
ALTER TABLE problems DROP COLUMN IF EXISTS broken;
ALTER TABLE problems DROP COLUMN IF EXISTS unchecked;
