-- Statements are made from the packages again after the next upgrade.
DROP TABLE IF EXISTS problem_files;
DROP TABLE IF EXISTS problem_statements;
DROP TABLE IF EXISTS problem_texts;
DROP TRIGGER IF EXISTS problems_statements ON problems;
DROP FUNCTION IF EXISTS problems_statements();
DROP INDEX IF EXISTS idx_problems_statements;
ALTER TABLE problems DROP COLUMN IF EXISTS statements_by;
