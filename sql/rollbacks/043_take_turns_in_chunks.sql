-- Nothing is lost. A node of this version cannot store batches any more: stop it first. As 041 has it.
CREATE OR REPLACE FUNCTION outbox_take_turn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.user_id = 0 THEN
        NEW.user_id := coalesce((SELECT s.user_id FROM submissions AS s WHERE s.job_id = NEW.job_id), 0);
    END IF;
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
DROP FUNCTION IF EXISTS outbox_turn_before(integer, bigint);
