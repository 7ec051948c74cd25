-- The outbox is the priority queue of all judging: lanes in the order of priority, and within a lane the users in turn.
-- priority: 1 contest, 0 interactive, -1 batch, -2 rejudge.
--
-- turn: the round of its lane in which an event goes. A round serves each user once. An event joins the round after the
-- one being served, or the round after its user's last one. Nothing can join the round being served, so each round ends:
-- an event that waits goes before events of users that come two rounds later.
ALTER TABLE outbox_events ADD COLUMN IF NOT EXISTS user_id bigint NOT NULL DEFAULT 0;
ALTER TABLE outbox_events ADD COLUMN IF NOT EXISTS turn    bigint NOT NULL DEFAULT 0;

-- events that waited before this migration: a rejudge has a lane of its own now, each user keeps the order of its events
UPDATE outbox_events AS e
SET priority = -2
FROM submissions AS s
WHERE e.status = 'pending' AND e.priority = -1 AND s.job_id = e.job_id AND s.judging > 1;
UPDATE outbox_events AS e
SET user_id = w.user_id, turn = w.turn
FROM (
    SELECT o.id, s.user_id, row_number() OVER (PARTITION BY s.user_id, o.priority ORDER BY o.id) AS turn
    FROM outbox_events AS o JOIN submissions AS s ON s.job_id = o.job_id
    WHERE o.status = 'pending'
) AS w
WHERE e.id = w.id AND e.turn = 0;

DROP INDEX IF EXISTS idx_outbox_pending_retry;
DROP INDEX IF EXISTS idx_outbox_pending_background;
CREATE INDEX IF NOT EXISTS idx_outbox_pending_turn ON outbox_events (priority, turn, id) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS idx_outbox_pending_user ON outbox_events (priority, user_id, turn) WHERE status = 'pending';

-- An event that is not due holds no round open: those that are due go on without it.
CREATE OR REPLACE FUNCTION outbox_take_turn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.user_id := coalesce((SELECT s.user_id FROM submissions AS s WHERE s.job_id = NEW.job_id), 0);
    NEW.turn := 1 + greatest(
        coalesce((SELECT e.turn FROM outbox_events AS e
                  WHERE e.status = 'pending' AND e.priority = NEW.priority AND e.next_attempt_at <= now()
                  ORDER BY e.turn, e.id LIMIT 1), 0),
        coalesce((SELECT e.turn FROM outbox_events AS e
                  WHERE e.status = 'pending' AND e.user_id = NEW.user_id AND e.priority = NEW.priority
                  ORDER BY e.turn DESC LIMIT 1), 0));
    RETURN NEW;
END
$$;

DROP TRIGGER IF EXISTS outbox_turn ON outbox_events;
CREATE TRIGGER outbox_turn BEFORE INSERT ON outbox_events
    FOR EACH ROW WHEN (NEW.status = 'pending') EXECUTE FUNCTION outbox_take_turn();

-- In which lane a submission goes round again: a judging that was opened anew is a rejudge.
CREATE OR REPLACE FUNCTION submission_priority(s submissions) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN s.judging > 1 THEN -2 ELSE 0 END
$$;

-- How many first judgings of a user are unfinished, counted to `most`. The lock, held to the end of the transaction, lets
-- submits of one user come one after the other. The count is a statement of its own, so it sees what the last holder of
-- the lock has committed.
CREATE INDEX IF NOT EXISTS idx_submissions_inflight_user ON submissions (user_id)
    WHERE state IN ('pending', 'processing') AND judging = 1;
CREATE OR REPLACE FUNCTION inflight_of(asked_user_id bigint, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('deepoj.inflight', asked_user_id));
    RETURN (SELECT count(*) FROM (
        SELECT FROM submissions
        WHERE user_id = asked_user_id AND state IN ('pending', 'processing') AND judging = 1
        LIMIT most) AS inflight);
END
$$;
