-- The networks to which running contests bind an account, with commas, one text a contest; it is read with each request of
-- the account. A contest binds from its start to its end, or to the end of the team's own time, and never an account that
-- may do more than take part: those who run contests could lock out administrators.
CREATE INDEX IF NOT EXISTS idx_contest_members_bound ON contest_members (user_id) WHERE networks IS NOT NULL;
CREATE OR REPLACE FUNCTION login_networks(of_user bigint, is_admin boolean, roles text[]) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN is_admin OR roles <> '{}' THEN '{}'::text[] ELSE ARRAY(
        SELECT array_to_string(m.networks, ',')
        FROM contest_members AS m
        JOIN contests AS c ON c.id = m.contest_id
        LEFT JOIN contest_extensions AS x ON x.contest_id = m.contest_id AND x.team_id = m.team_id
        WHERE m.user_id = of_user AND m.networks IS NOT NULL AND c.created_by IS DISTINCT FROM of_user
          AND coalesce(c.started_at, c.start_at) <= now() AND c.finalized_at IS NULL
          AND (c.ended_at IS NULL OR contest_moment(c, c.duration_ms + x.extra_ms) > now())) END
$$;
