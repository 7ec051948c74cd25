-- Whether a problem takes outputs in the place of programs, as its package says; NULL: its statements were rendered by a
-- version that did not store this. Judge nodes render all statements again after the upgrade.
ALTER TABLE problem_texts ADD COLUMN IF NOT EXISTS takes_outputs boolean;
