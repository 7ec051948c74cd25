-- Administrators, and the epoch that revokes older tokens when the password changes.
ALTER TABLE users ADD COLUMN IF NOT EXISTS is_admin    boolean NOT NULL DEFAULT false;
ALTER TABLE users ADD COLUMN IF NOT EXISTS token_epoch integer NOT NULL DEFAULT 0;
