-- What is known of the programs (checker, interactor) of a problem's package. unchecked: why the node that took it could
-- not compile them; NULL: it did, or there are none, or it was before this column. broken: which of them another node
-- found not to compile.
ALTER TABLE problems ADD COLUMN IF NOT EXISTS unchecked text;
ALTER TABLE problems ADD COLUMN IF NOT EXISTS broken    text;

CREATE INDEX IF NOT EXISTS idx_problems_unchecked ON problems (id) WHERE unchecked IS NOT NULL;
