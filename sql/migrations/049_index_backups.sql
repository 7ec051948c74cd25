-- Finds the last backup for the system's page, which asks every few seconds, however long the log of acts is.
CREATE INDEX IF NOT EXISTS idx_admin_events_backups ON admin_events (at) WHERE act = 'backed_up';
