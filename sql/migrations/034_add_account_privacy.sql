-- Who sees an account's profile: everyone; members, which is every person who is logged in; or administrators only. Its
-- owner always does.
ALTER TABLE users ADD COLUMN IF NOT EXISTS profile_for text NOT NULL DEFAULT 'members';
ALTER TABLE users DROP CONSTRAINT IF EXISTS users_profile_for;
ALTER TABLE users ADD CONSTRAINT users_profile_for CHECK (profile_for IN ('everyone', 'members', 'administrators'));

-- An erased account keeps its row, under a pseudonym, for its submissions and marks. is_being_erased: sources of its
-- submissions may be left; they are removed in batches, by whichever node comes next.
ALTER TABLE users ADD COLUMN IF NOT EXISTS erased_at timestamptz;
ALTER TABLE users ADD COLUMN IF NOT EXISTS is_being_erased boolean NOT NULL DEFAULT false;
CREATE INDEX IF NOT EXISTS idx_users_being_erased ON users (id) WHERE is_being_erased;

-- The source is gone, so the submission can't be judged again. It keeps its verdict.
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS is_erased boolean NOT NULL DEFAULT false;
