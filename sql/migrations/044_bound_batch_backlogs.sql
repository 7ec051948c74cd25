-- An upper bound of each user's unfinished jobs of batches. submit_lines counts the jobs only where this bound and the chunk
-- together exceed the quota, or where there is no row: the count for each chunk took half of a batch's time when 60,000
-- waited. A chunk raises the bound, and only a count lowers it. Nodes of the versions before raise nothing.
CREATE TABLE IF NOT EXISTS batch_backlogs (
    user_id            bigint PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    unfinished_at_most bigint NOT NULL
);
