-- name: review_of
-- What a review must know of the submission $2 of the contest $1, the review so far, and whether the account $3 is alone on
-- the jury. The contest's row is locked.
SELECT s.id, s.job_id::text, s.judging, CASE WHEN s.state = 'done' THEN s.status END AS verdict, r.data::text AS review,
       contest_time_text(now()) AS at,
       NOT EXISTS (SELECT FROM users AS u
                   WHERE u.id <> $3 AND NOT u.is_disabled AND u.erased_at IS NULL
                     AND (u.is_admin OR 'jury' = ANY (u.roles))) AS is_alone
FROM submissions AS s LEFT JOIN contest_reviews AS r ON r.submission_id = s.id
WHERE s.id = $2 AND s.contest_id = $1;

-- name: put_review
-- Stores a review.
INSERT INTO contest_reviews (submission_id, contest_id, data) VALUES ($2, $1, $3::jsonb)
ON CONFLICT (submission_id) DO UPDATE SET data = excluded.data;

-- name: settle_mark_of_review
-- Lets the solved mark of a submission follow an override, if the contest shows its marks. The contest's row is locked. The
-- submission's is locked here: a rejudge that is being applied could otherwise leave the mark of the former judging.
WITH s AS MATERIALIZED (SELECT * FROM submissions WHERE id = $1 AND state = 'done' FOR SHARE)
SELECT settle_mark(s::submissions, coalesce(override_of(s.id, s.judging), s.status)) AS settled
FROM s JOIN contests AS c ON c.id = s.contest_id WHERE c.is_marking;

-- name: release_contest
-- Makes the deliveries due of verdicts of the contest $1, or of its submission $2, that are kept back no more.
SELECT release_contest($1, $2) AS released;

-- name: notify_review
-- Lets the pages of a submission be read again.
SELECT pg_notify('deepoj_live', $1);

-- name: contest_unverified
-- How many verdicts of a contest the jury has still to verify.
SELECT count(*) AS unverified
FROM submissions AS s LEFT JOIN contest_reviews AS r ON r.submission_id = s.id
WHERE s.contest_id = $1 AND (r.data ->> 'verified')::integer IS DISTINCT FROM s.judging
  AND NOT coalesce((r.data ->> 'is_ignored')::boolean, false);
