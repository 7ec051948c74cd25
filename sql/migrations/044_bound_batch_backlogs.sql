-- At most how many jobs of a user's batches are unfinished. While it leaves room for a chunk within the quota, nobody counts
-- them: the count, again for each chunk, took half of the time of a batch when 60,000 waited. It grows with each chunk and
-- is counted anew when it does not leave room any more. A user without a row is counted first.
CREATE TABLE IF NOT EXISTS batch_backlogs (
    user_id            bigint PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    unfinished_at_most bigint NOT NULL
);
