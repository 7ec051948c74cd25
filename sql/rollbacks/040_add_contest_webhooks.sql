-- Webhooks of the Contest API are lost: their owners register them again.
DROP FUNCTION IF EXISTS contest_of_webhook(bigint, text[]);
DROP FUNCTION IF EXISTS contest_counters_mark();
DROP TABLE IF EXISTS contest_webhook_places;
DROP TABLE IF EXISTS contest_webhooks;
