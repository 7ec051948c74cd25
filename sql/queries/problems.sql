-- name: reserve_problem_id
-- An id that nobody else gets.
SELECT nextval(pg_get_serial_sequence('problems', 'id'));

-- name: insert_problem
-- Puts a problem under its reserved id; said twice it stands once.
INSERT INTO problems (id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
                      testcase_minio_path, testcase_hash, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET
    title = excluded.title, description = excluded.description, difficulty = excluded.difficulty,
    time_limit_ms = excluded.time_limit_ms, memory_limit_mb = excluded.memory_limit_mb, compare = excluded.compare,
    testcase_minio_path = excluded.testcase_minio_path, testcase_hash = excluded.testcase_hash,
    version = excluded.version, updated_at = now();

-- name: problem
-- One problem as the walk needs it.
SELECT id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
       testcase_minio_path AS data_path, testcase_hash AS data_hash, version
FROM problems WHERE id = $1;
