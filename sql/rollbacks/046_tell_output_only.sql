-- Nothing is lost.
ALTER TABLE problem_texts DROP COLUMN IF EXISTS takes_outputs;
