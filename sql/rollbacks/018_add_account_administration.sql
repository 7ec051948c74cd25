DROP TABLE IF EXISTS oauth_states_spent;
DROP INDEX IF EXISTS idx_users_listed;
DROP INDEX IF EXISTS idx_users_administrators;
-- The older schema cannot hold that an account is switched off, and would let it in: it loses its password and every
-- token instead, and the GitHub account by which it came.
DO $$
BEGIN
    IF EXISTS (SELECT FROM information_schema.columns
               WHERE table_schema = current_schema() AND table_name = 'users' AND column_name = 'is_disabled') THEN
        UPDATE users
        SET password_hash = '', github_id = NULL, is_admin = false, token_epoch = token_epoch + 1, updated_at = now()
        WHERE is_disabled;
    END IF;
END
$$;
ALTER TABLE users DROP COLUMN IF EXISTS password_is_temporary;
ALTER TABLE users DROP COLUMN IF EXISTS is_disabled;
