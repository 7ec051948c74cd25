-- What a node says of itself beside its languages: version, roles, disks (capacity/disks.py).
ALTER TABLE node_languages ADD COLUMN IF NOT EXISTS facts jsonb NOT NULL DEFAULT '{}';

-- TRUNCATE fires no trigger for UPDATE or DELETE, and would have emptied the log.
DROP TRIGGER IF EXISTS admin_events_no_truncate ON admin_events;
CREATE TRIGGER admin_events_no_truncate BEFORE TRUNCATE ON admin_events
    FOR EACH STATEMENT EXECUTE FUNCTION admin_events_are_append_only();
