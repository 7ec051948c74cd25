-- Erased accounts stay erased: they have no password, and are disabled. Sources of theirs that are left could not be
-- found later, so they are removed here. (In a block of its own: this file may run a second time, without the columns.)
DO $$
BEGIN
    IF EXISTS (SELECT FROM information_schema.columns
               WHERE table_schema = current_schema() AND table_name = 'submissions' AND column_name = 'is_erased') THEN
        UPDATE submissions AS s
        SET code = '', entry_point = NULL, files = NULL
        FROM users AS u
        WHERE u.is_being_erased AND s.user_id = u.id AND s.state = 'done' AND NOT s.is_erased;
    END IF;
END
$$;
DROP INDEX IF EXISTS idx_users_being_erased;
ALTER TABLE submissions DROP COLUMN IF EXISTS is_erased;
ALTER TABLE users DROP COLUMN IF EXISTS is_being_erased;
ALTER TABLE users DROP COLUMN IF EXISTS erased_at;
ALTER TABLE users DROP CONSTRAINT IF EXISTS users_profile_for;
ALTER TABLE users DROP COLUMN IF EXISTS profile_for;
