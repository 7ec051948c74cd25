-- Who sees a problem. draft: the account that made it, administrators and the jury; private: also the members of its
-- groups; listed: everybody.
ALTER TABLE problems ADD COLUMN IF NOT EXISTS visibility text   NOT NULL DEFAULT 'listed';
ALTER TABLE problems ADD COLUMN IF NOT EXISTS tags       text[] NOT NULL DEFAULT '{}';
-- keys of the languages that it takes; empty: all
ALTER TABLE problems ADD COLUMN IF NOT EXISTS languages  text[] NOT NULL DEFAULT '{}';
ALTER TABLE problems DROP CONSTRAINT IF EXISTS problems_visibility_known;
ALTER TABLE problems ADD CONSTRAINT problems_visibility_known CHECK (visibility IN ('draft', 'listed', 'private'));
CREATE INDEX IF NOT EXISTS idx_problems_tags ON problems USING gin (tags);

CREATE TABLE IF NOT EXISTS problem_groups (
    problem_id bigint NOT NULL REFERENCES problems (id) ON DELETE CASCADE,
    group_id   bigint NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    PRIMARY KEY (problem_id, group_id)
);
-- for the deletion of a group
CREATE INDEX IF NOT EXISTS idx_problem_groups_group_id ON problem_groups (group_id);

-- The problems that an account sees; NULL: people without an account. Every list and every read for readers uses it.
CREATE OR REPLACE FUNCTION open_problems(viewer bigint) RETURNS SETOF problems LANGUAGE sql STABLE AS $$
    SELECT p.* FROM problems AS p
    WHERE p.visibility = 'listed' OR p.created_by = viewer
       OR EXISTS (SELECT FROM users AS u WHERE u.id = viewer AND (u.is_admin OR 'jury' = ANY (u.roles)))
       OR (p.visibility = 'private' AND EXISTS (
               SELECT FROM problem_groups AS g JOIN group_members AS m ON m.group_id = g.group_id
               WHERE g.problem_id = p.id AND m.user_id = viewer))
$$;
