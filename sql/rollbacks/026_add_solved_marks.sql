DROP TRIGGER IF EXISTS submissions_settle ON submissions;
DROP TRIGGER IF EXISTS submissions_mark ON submissions;
DROP FUNCTION IF EXISTS settle_marks();
DROP FUNCTION IF EXISTS mark_of_submission();
DROP TABLE IF EXISTS daily_activity;
DROP TABLE IF EXISTS solved;
