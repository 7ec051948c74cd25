-- The lease: exactly the rows in processing have one. It is valid while lease_until > now(); at equality it is over.
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS lease_owner text;
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS lease_until timestamptz;

ALTER TABLE submissions DROP CONSTRAINT IF EXISTS submissions_lease_of_state;
ALTER TABLE submissions ADD CONSTRAINT submissions_lease_of_state CHECK (
    (state = 'processing') = (lease_owner IS NOT NULL) AND (state = 'processing') = (lease_until IS NOT NULL));
