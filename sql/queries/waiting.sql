-- name: waiting_work
-- The kinds of work of which some may be due, for the loops of nodes (words.waiting). Each is a look for one row by index.
-- A kind may be named of which nothing can be done now; then its loop asks for itself, as the statements of the loop say.
-- $1: how long custom runs and reruns are kept, in seconds; $2: previews; $3: the version of the renderer of statements.
SELECT kind
FROM (VALUES
    ('submissions', EXISTS (SELECT FROM submissions WHERE state IN ('pending', 'processing'))),
    ('contests', EXISTS (SELECT FROM contests WHERE end_of_updates_at IS NULL OR NOT is_marked)),
    ('rejudges', EXISTS (SELECT FROM rejudges WHERE finished_at IS NULL)),
    ('webhooks', EXISTS (SELECT FROM webhook_deliveries WHERE status = 'pending')),
    ('contest_webhooks', EXISTS (
        SELECT FROM contest_webhooks
        WHERE deactivated_at IS NULL AND next_attempt_at <= now() AND seen_mark <> (SELECT contest_counters_mark()))),
    ('runs', EXISTS (SELECT FROM runs WHERE state IN ('pending', 'processing') AND due_at <= now())),
    ('old_runs', EXISTS (
        SELECT FROM runs WHERE state = 'done' AND finished_at <= now() - make_interval(secs => $1::float8))),
    ('reruns', EXISTS (SELECT FROM reruns WHERE state IN ('pending', 'processing') AND due_at <= now())),
    ('old_reruns', EXISTS (
        SELECT FROM reruns WHERE state = 'done' AND finished_at <= now() - make_interval(secs => $1::float8))),
    ('examples', EXISTS (
        SELECT FROM verified_examples WHERE state IN ('pending', 'processing') AND due_at <= now())),
    ('verifications', EXISTS (SELECT FROM verifications WHERE state = 'running')),
    ('preview_jobs', EXISTS (SELECT FROM preview_jobs WHERE state IN ('pending', 'processing') AND due_at <= now())),
    ('previews', EXISTS (SELECT FROM previews WHERE state IN ('running', 'ready'))
        OR EXISTS (SELECT FROM previews WHERE created_at < now() - make_interval(secs => $2::float8))),
    ('unchecked', EXISTS (SELECT FROM problems WHERE unchecked IS NOT NULL)),
    ('unrendered', EXISTS (
            SELECT FROM problems
            WHERE statements_by < $3::int AND (statements_until IS NULL OR statements_until <= now()))
        -- no index tells which of them are to be rendered
        OR EXISTS (SELECT FROM contest_texts)),
    ('erasures', EXISTS (SELECT FROM users WHERE is_being_erased))
) AS look (kind, is_there)
WHERE is_there;
