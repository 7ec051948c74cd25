ALTER TABLE IF EXISTS runs RESET (
    autovacuum_vacuum_scale_factor,
    autovacuum_vacuum_threshold,
    toast.autovacuum_vacuum_scale_factor,
    toast.autovacuum_vacuum_threshold
);
DROP INDEX IF EXISTS idx_runs_kept;
