DROP TRIGGER IF EXISTS admin_events_no_truncate ON admin_events;
ALTER TABLE node_languages DROP COLUMN IF EXISTS facts;
