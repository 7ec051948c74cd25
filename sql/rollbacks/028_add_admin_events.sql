DROP TABLE IF EXISTS admin_events;
DROP FUNCTION IF EXISTS admin_events_are_append_only();
