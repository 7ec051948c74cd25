-- name: expired
-- A page of rows above the id $1: those that finished $2 seconds ago, and where the next page begins. The pages end (0) with
-- the table, or at the first page whose last row is too young: all later rows are younger still.
WITH page AS MATERIALIZED (
    SELECT id, created_at,
           state = 'done' AND updated_at <= now() - make_interval(secs => $2)
               AND NOT EXISTS (SELECT FROM contests AS c WHERE c.id = contest_id) AS expired
    FROM submissions WHERE id > $1 ORDER BY id LIMIT $3
),
last AS (SELECT id, created_at FROM page ORDER BY id DESC LIMIT 1)
SELECT (SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM page WHERE expired) AS row_ids,
       CASE WHEN (SELECT count(*) FROM page) = $3
            THEN coalesce((SELECT id FROM last WHERE created_at <= now() - make_interval(secs => $2)), 0)
            ELSE 0 END AS next_after_id;

-- name: delete_expired
-- Deletes rows that are still expired, with their ledger rows; outbox events go with the row. Solved marks stay. So do the
-- submissions of contests, with their sources, as long as the contest is there.
WITH gone AS (
    DELETE FROM submissions
    WHERE id = ANY ($1::bigint[]) AND state = 'done' AND updated_at <= now() - make_interval(secs => $2)
      AND NOT EXISTS (SELECT FROM contests AS c WHERE c.id = contest_id)
    RETURNING job_id
),
ledger AS (
    DELETE FROM attempts USING gone WHERE attempts.job_id = gone.job_id
)
SELECT count(*) FROM gone;
