-- name: solved_of
-- Of the problems $2, those that the user has solved.
SELECT problem_id FROM solved WHERE user_id = $1 AND problem_id = ANY ($2::bigint[]);

-- name: solved_problems
-- A page of the problems that a user has solved and the account $4 sees, above the id $2.
SELECT s.problem_id, p.title, s.solved_at
FROM solved AS s JOIN open_problems($4) AS p ON p.id = s.problem_id
WHERE s.user_id = $1 AND s.problem_id > $2
ORDER BY s.problem_id
LIMIT $3;

-- name: count_solved
-- The number of problems that a user has solved and the account $2 sees.
SELECT count(*) FROM solved AS s JOIN open_problems($2) AS p ON p.id = s.problem_id WHERE s.user_id = $1;

-- name: daily_activity
-- A user's days with submissions, of the last $2 days, today (UTC) among them.
SELECT day, submissions FROM daily_activity
WHERE user_id = $1 AND day > (now() AT TIME ZONE 'UTC')::date - $2::int
ORDER BY day;

-- name: user_verdicts
-- The verdicts of a user's latest $2 submissions, the most frequent first. Those of a contest count once its board shows
-- all, as marks do: before, they would tell others what the freeze hides.
SELECT status, count(*) AS count
FROM (SELECT state, status, contest_id FROM submissions WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2) AS latest
WHERE state = 'done'
  AND NOT EXISTS (SELECT FROM contests AS c WHERE c.id = latest.contest_id AND NOT c.is_marking)
GROUP BY status
ORDER BY count(*) DESC, status;
