DROP INDEX IF EXISTS idx_submissions_time;
DROP INDEX IF EXISTS idx_submissions_problem_time;
DROP INDEX IF EXISTS idx_submissions_user_time;
CREATE INDEX IF NOT EXISTS idx_submissions_created_at ON submissions USING brin (created_at);
