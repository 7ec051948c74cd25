-- Objects that no problem names stay in the object store for good.
DROP TRIGGER IF EXISTS problems_object ON problems;
DROP FUNCTION IF EXISTS problems_object();
DROP INDEX IF EXISTS idx_problems_object;
DROP TABLE IF EXISTS loose_objects;
DROP INDEX IF EXISTS idx_problems_unchecked;
ALTER TABLE problems DROP COLUMN IF EXISTS broken;
ALTER TABLE problems DROP COLUMN IF EXISTS unchecked;
