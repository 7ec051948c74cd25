-- Custom runs of one user are bounded in bytes: whoever finishes one finds the older ones by this index.
CREATE INDEX IF NOT EXISTS idx_runs_kept ON runs (user_id, finished_at, id) WHERE state = 'done';

-- Every row lives for minutes, and its output for as long beside it. The server's default waits until a fifth of a table
-- is dead: after a flood that is never, for nothing comes after it. A fixed number gives the room back in a minute or two.
ALTER TABLE runs SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 50,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 500
);
