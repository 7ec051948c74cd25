-- Which languages the nodes that judge have, each for as long as its announcement lasts.
CREATE TABLE IF NOT EXISTS node_languages (
    node text PRIMARY KEY,
    -- language key → version of its compiler or interpreter
    languages jsonb NOT NULL,
    live_until timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_node_languages_live_until ON node_languages (live_until);
