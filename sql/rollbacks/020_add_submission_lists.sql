DROP INDEX IF EXISTS idx_submissions_time;
DROP INDEX IF EXISTS idx_submissions_problem_time;
DROP INDEX IF EXISTS idx_submissions_user_time;
