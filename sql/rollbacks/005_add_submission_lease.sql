ALTER TABLE submissions DROP CONSTRAINT IF EXISTS submissions_lease_of_state;
ALTER TABLE submissions DROP COLUMN IF EXISTS lease_until;
ALTER TABLE submissions DROP COLUMN IF EXISTS lease_owner;
