-- Which submissions of the problem an order to rejudge concerns; NULL: any. since is included, until is not.
ALTER TABLE rejudges ADD COLUMN IF NOT EXISTS verdict  text;
ALTER TABLE rejudges ADD COLUMN IF NOT EXISTS language text;
ALTER TABLE rejudges ADD COLUMN IF NOT EXISTS since    timestamptz;
ALTER TABLE rejudges ADD COLUMN IF NOT EXISTS until    timestamptz;
