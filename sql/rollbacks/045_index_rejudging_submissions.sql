-- Nothing is lost.
DROP INDEX IF EXISTS idx_submissions_rejudging;
