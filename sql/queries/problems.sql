-- name: reserve_problem_id
-- Reserves a unique problem id.
SELECT nextval(pg_get_serial_sequence('problems', 'id'));

-- name: insert_problem
-- Stores a problem under its reserved id; repeatable. $13: the administrator who does it, or NULL.
WITH made AS (
    INSERT INTO problems (id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
                          testcase_minio_path, testcase_hash, version, unchecked, broken, created_by, visibility, tags, languages)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $14, $15, $16, $17)
    ON CONFLICT (id) DO UPDATE SET
        title = excluded.title, description = excluded.description, difficulty = excluded.difficulty,
        time_limit_ms = excluded.time_limit_ms, memory_limit_mb = excluded.memory_limit_mb, compare = excluded.compare,
        testcase_minio_path = excluded.testcase_minio_path, testcase_hash = excluded.testcase_hash,
        version = excluded.version, unchecked = excluded.unchecked, broken = excluded.broken, created_by = excluded.created_by,
        visibility = excluded.visibility, tags = excluded.tags, languages = excluded.languages, updated_at = now()
    RETURNING id, title
)
INSERT INTO admin_events (actor, act, subject, details)
SELECT $13, 'problem_created', id::text, jsonb_build_object('title', title) FROM made
WHERE $13::text IS NOT NULL AND NOT EXISTS (SELECT FROM problems WHERE id = $1);

-- name: problem
-- One problem with all that the pipeline needs.
SELECT id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
       testcase_minio_path AS data_path, testcase_hash AS data_hash, version, unchecked, broken, created_by,
       visibility, tags, languages, contest_hides_results(id) AS hides_results
FROM problems WHERE id = $1;

-- name: update_problem
-- Changes the values that are not NULL. The version grows only when a value that decides verdicts changes: repeatable.
-- $11: the administrator who does it, or NULL; the log names the fields whose values differ.
WITH changed AS (
    UPDATE problems
    SET title = coalesce($2, title), description = coalesce($3, description), difficulty = coalesce($4, difficulty),
        time_limit_ms = coalesce($5, time_limit_ms), memory_limit_mb = coalesce($6, memory_limit_mb),
        compare = coalesce($7, compare),
        testcase_minio_path = CASE WHEN $9 <> testcase_hash THEN $8 ELSE testcase_minio_path END,
        testcase_hash = coalesce($9, testcase_hash),
        unchecked = CASE WHEN $9 IS NULL THEN unchecked ELSE $10 END,
        broken = CASE WHEN $9 IS NULL THEN broken END,
        visibility = coalesce($12, visibility), tags = coalesce($13, tags), languages = coalesce($14, languages),
        version = version + CASE WHEN $5 <> time_limit_ms OR $6 <> memory_limit_mb OR $7 <> compare OR $9 <> testcase_hash
                            THEN 1 ELSE 0 END,
        updated_at = now()
    WHERE id = $1
    RETURNING id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
              testcase_minio_path AS data_path, testcase_hash AS data_hash, version, unchecked, broken, created_by,
              visibility, tags, languages
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $11, 'problem_changed', c.id::text, jsonb_build_object('fields', f.fields, 'version', c.version)
    -- problems: as it was before this statement
    FROM changed AS c JOIN problems AS p ON p.id = c.id
    CROSS JOIN LATERAL (SELECT array_remove(ARRAY[
        CASE WHEN p.title <> c.title THEN 'title' END,
        CASE WHEN p.description <> c.description THEN 'description' END,
        CASE WHEN p.difficulty <> c.difficulty THEN 'difficulty' END,
        CASE WHEN p.time_limit_ms <> c.time_limit_ms THEN 'time_limit' END,
        CASE WHEN p.memory_limit_mb <> c.memory_limit_mb THEN 'memory_limit' END,
        CASE WHEN p.compare <> c.compare THEN 'compare' END,
        CASE WHEN p.testcase_hash <> c.data_hash THEN 'package' END,
        CASE WHEN p.visibility <> c.visibility THEN 'visibility' END,
        CASE WHEN p.tags <> c.tags THEN 'tags' END,
        CASE WHEN p.languages <> c.languages THEN 'languages' END], NULL) AS fields) AS f
    WHERE $11::text IS NOT NULL AND cardinality(f.fields) > 0
)
SELECT id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare, data_path, data_hash, version,
       unchecked, broken, created_by, visibility, tags, languages
FROM changed;

-- name: open_problem
-- The same, if the account $2 sees it; NULL: people without an account.
SELECT id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
       testcase_minio_path AS data_path, testcase_hash AS data_hash, version, unchecked, broken, created_by,
       visibility, tags, languages, contest_hides_results(id) AS hides_results
FROM open_problems($2) WHERE id = $1;

-- name: newest_problems
-- The newest $1 of the listed problems.
SELECT id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
       testcase_minio_path AS data_path, testcase_hash AS data_hash, version, unchecked, broken, created_by,
       visibility, tags, languages
FROM problems WHERE visibility = 'listed' ORDER BY id DESC LIMIT $1;

-- name: problems
-- A page of problems above the id $1.
SELECT id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
       testcase_minio_path AS data_path, testcase_hash AS data_hash, version, unchecked, broken, created_by,
       visibility, tags, languages
FROM problems WHERE id > $1 ORDER BY id LIMIT $2;

-- name: problems_of
-- A page of problems above the id $2 that the account $1 has made.
SELECT id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
       testcase_minio_path AS data_path, testcase_hash AS data_hash, version, unchecked, broken, created_by,
       visibility, tags, languages
FROM problems WHERE created_by = $1 AND id > $2 ORDER BY id LIMIT $3;

-- name: find_problems
-- A page of problems that the account $5 sees, by id, above the id $4: those whose title matches $1, a pattern of LIKE, or
-- whose id is $2 (NULL: all), with the tag $6 (NULL: any), of the difficulty $7 (NULL: any); if $8, only unsolved ones:
-- NOT IN reads the account's marks once, NOT EXISTS once for each problem.
SELECT id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
       testcase_minio_path AS data_path, testcase_hash AS data_hash, version, unchecked, broken, created_by,
       visibility, tags, languages
FROM open_problems($5)
WHERE ($6::text IS NULL OR tags @> ARRAY[$6]) AND ($1::text IS NULL OR title ILIKE $1 OR id = $2::bigint)
  AND ($7::text IS NULL OR lower(difficulty) = lower($7))
  AND (NOT $8::boolean OR id NOT IN (SELECT problem_id FROM solved WHERE user_id = $5))
  AND id > $4
ORDER BY id LIMIT $3;

-- name: find_problems_by_title
-- The same by title, after the problem $4; from the first one if that has been deleted, or if the account does not see it:
-- where the page begins would tell its title.
WITH place AS MATERIALIZED (SELECT lower(title) COLLATE "C" AS title, id FROM open_problems($5) WHERE id = $4)
SELECT id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
       testcase_minio_path AS data_path, testcase_hash AS data_hash, version, unchecked, broken, created_by,
       visibility, tags, languages
FROM open_problems($5)
WHERE ($6::text IS NULL OR tags @> ARRAY[$6]) AND ($1::text IS NULL OR title ILIKE $1 OR id = $2::bigint)
  AND ($7::text IS NULL OR lower(difficulty) = lower($7))
  AND (NOT $8::boolean OR id NOT IN (SELECT problem_id FROM solved WHERE user_id = $5))
  AND (NOT EXISTS (SELECT FROM place)
       OR (lower(title) COLLATE "C", id) > ((SELECT title FROM place), (SELECT id FROM place)))
ORDER BY lower(title) COLLATE "C", id LIMIT $3;

-- name: find_problems_by_difficulty
-- The same by difficulty: numbers, then easy, medium, hard, then other words, then none.
WITH open AS NOT MATERIALIZED (
    SELECT o.*, CASE WHEN o.difficulty = '' THEN '3'
                     WHEN o.difficulty ~ '^[0-9]{1,32}$' THEN '1' || lpad(o.difficulty, 32, '0')
                     WHEN lower(o.difficulty) IN ('easy', '简单') THEN '2 1'
                     WHEN lower(o.difficulty) IN ('medium', '中等') THEN '2 2'
                     WHEN lower(o.difficulty) IN ('hard', '困难') THEN '2 3'
                     ELSE '2' || lower(o.difficulty) END COLLATE "C" AS rank
    FROM open_problems($5) AS o
),
place AS MATERIALIZED (SELECT rank, id FROM open WHERE id = $4)
SELECT id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
       testcase_minio_path AS data_path, testcase_hash AS data_hash, version, unchecked, broken, created_by,
       visibility, tags, languages
FROM open
WHERE ($6::text IS NULL OR tags @> ARRAY[$6]) AND ($1::text IS NULL OR title ILIKE $1 OR id = $2::bigint)
  AND ($7::text IS NULL OR lower(difficulty) = lower($7))
  AND (NOT $8::boolean OR id NOT IN (SELECT problem_id FROM solved WHERE user_id = $5))
  AND (NOT EXISTS (SELECT FROM place) OR (rank, id) > ((SELECT rank FROM place), (SELECT id FROM place)))
ORDER BY rank, id LIMIT $3;

-- name: problem_titles
-- The titles of those of the problems $1 that the account $2 sees.
SELECT id, title FROM open_problems($2) WHERE id = ANY ($1::bigint[]);

-- name: newest_titles
-- The titles of the newest $2 problems that the account $1 sees.
SELECT id, title FROM open_problems($1) ORDER BY id DESC LIMIT $2;

-- name: unchecked_problems
-- A page of problems above the id $1 whose programs have not been compiled yet.
SELECT id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
       testcase_minio_path AS data_path, testcase_hash AS data_hash, version, unchecked, broken, created_by,
       visibility, tags, languages
FROM problems WHERE unchecked IS NOT NULL AND id > $1 ORDER BY id LIMIT $2;

-- name: tell_programs
-- Stores the outcome of compiling the programs of package $2, if the problem still has that package.
UPDATE problems SET unchecked = NULL, broken = $3, updated_at = now()
WHERE id = $1 AND testcase_hash = $2 AND unchecked IS NOT NULL;

-- name: problem_groups
-- The names of a problem's groups.
SELECT g.name FROM problem_groups AS p JOIN groups AS g ON g.id = p.group_id
WHERE p.problem_id = $1;

-- name: unknown_groups
-- Those of the names $1 that no group has, without regard to case.
SELECT name FROM unnest($1::text[]) AS one (name)
WHERE NOT EXISTS (SELECT FROM groups AS g WHERE lower(g.name) COLLATE "C" = lower(one.name) COLLATE "C");

-- name: set_problem_groups
-- Makes the groups with the names $2 those of the problem. $3: the administrator who does it, or NULL.
WITH wanted AS MATERIALIZED (
    SELECT id FROM groups
    WHERE lower(name) COLLATE "C" = ANY (SELECT lower(one.name) COLLATE "C" FROM unnest($2::text[]) AS one (name))
),
gone AS (
    DELETE FROM problem_groups WHERE problem_id = $1 AND group_id NOT IN (SELECT id FROM wanted) RETURNING group_id
),
made AS (
    INSERT INTO problem_groups (problem_id, group_id)
    SELECT p.id, w.id FROM problems AS p CROSS JOIN wanted AS w WHERE p.id = $1 ORDER BY w.id
    ON CONFLICT DO NOTHING
    RETURNING group_id
)
INSERT INTO admin_events (actor, act, subject, details)
SELECT $3, 'problem_changed', id::text, jsonb_build_object('fields', ARRAY['groups'], 'version', version) FROM problems
WHERE id = $1 AND $3::text IS NOT NULL AND (EXISTS (SELECT FROM gone) OR EXISTS (SELECT FROM made));

-- name: delete_problem_lock
-- Whether the problem exists; locked, so that no submission to it is taken until this transaction ends.
SELECT id FROM problems WHERE id = $1 FOR UPDATE;

-- name: problem_is_in_contest
-- Whether a contest has the problem. Asked after delete_problem_lock, for which a contest that takes it waits.
SELECT EXISTS (SELECT FROM contest_problems WHERE problem_id = $1) AS is_in_contest;

-- name: delete_problem
-- Deletes a problem that has no submissions. $2: the administrator who does it, or NULL.
WITH gone AS (
    DELETE FROM problems
    WHERE id = $1 AND NOT EXISTS (SELECT FROM submissions WHERE problem_id = $1)
    RETURNING id, title
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $2, 'problem_deleted', id::text, jsonb_build_object('title', title) FROM gone WHERE $2::text IS NOT NULL
)
SELECT id FROM gone;

-- name: delete_submissions_of
-- Deletes $2 submissions of a problem with their ledger rows; outbox events and old judgings go with the row.
WITH gone AS (
    DELETE FROM submissions
    WHERE id = ANY (ARRAY (SELECT id FROM submissions WHERE problem_id = $1 ORDER BY id LIMIT $2))
    RETURNING job_id
),
ledger AS (
    DELETE FROM attempts USING gone WHERE attempts.job_id = gone.job_id
)
SELECT count(*) FROM gone;

-- name: note_object
-- Notes an object before it is stored, while no problem names it.
INSERT INTO loose_objects (key) VALUES ($1) ON CONFLICT (key) DO UPDATE SET since = now();

-- name: loose_objects
-- At most $2 objects that no problem has named for $1 seconds, oldest first.
SELECT key FROM loose_objects
WHERE since < now() - make_interval(secs => $1)
  AND NOT EXISTS (SELECT FROM problems WHERE testcase_minio_path = loose_objects.key)
ORDER BY since LIMIT $2;

-- name: object_keys
-- All keys that the object store may hold, and whether a problem names them; for a backup, so it may be slow.
SELECT key, bool_or(named) AS named
FROM (SELECT testcase_minio_path AS key, true AS named FROM problems
      UNION ALL SELECT key, false FROM loose_objects) AS objects
GROUP BY key ORDER BY key;

-- name: forget_objects
-- Deletes the notes of deleted objects.
DELETE FROM loose_objects WHERE key = ANY ($1);
