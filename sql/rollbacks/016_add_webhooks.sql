DROP TRIGGER IF EXISTS submissions_webhook ON submissions;
DROP FUNCTION IF EXISTS webhook_of_submission();
DROP TABLE IF EXISTS webhook_deliveries;
ALTER TABLE users DROP COLUMN IF EXISTS webhook_epoch;
ALTER TABLE submissions DROP COLUMN IF EXISTS callback_url;
