-- Every node announces itself, whether it takes work or not. live_until remains the time until which a node takes work: the
-- statements that ask who judges what read it alone. A node of the version before writes neither column.
ALTER TABLE node_languages ADD COLUMN IF NOT EXISTS seen_at timestamptz;
ALTER TABLE node_languages ADD COLUMN IF NOT EXISTS seen_until timestamptz;
