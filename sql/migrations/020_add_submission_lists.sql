-- Lists of submissions, newest first: a user's, a problem's, and all. created_at never changes, so none of these indexes
-- is touched by what becomes of a submission.
CREATE INDEX IF NOT EXISTS idx_submissions_user_time ON submissions (user_id, created_at, id);
CREATE INDEX IF NOT EXISTS idx_submissions_problem_time ON submissions (problem_id, created_at, id);
CREATE INDEX IF NOT EXISTS idx_submissions_time ON submissions (created_at, id);
-- what looked for a time by blocks finds it here, too
DROP INDEX IF EXISTS idx_submissions_created_at;
