-- Nothing is lost.
DROP INDEX IF EXISTS idx_admin_events_backups;
