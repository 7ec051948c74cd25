-- name: claim_statements
-- Marks the statements of package $2 as rendered by version $3, if the problem still has that package and no later
-- version rendered them. The row stays locked, so that writers come one after the other.
UPDATE problems SET statements_by = $3 WHERE id = $1 AND testcase_hash = $2 AND statements_by <= $3
RETURNING id;

-- name: delete_statements
-- Deletes a problem's statements with samples, notes and files.
DELETE FROM problem_texts WHERE problem_id = $1;

-- name: insert_problem_texts
-- Stores what belongs to all languages of a problem.
INSERT INTO problem_texts (problem_id, data_hash, samples, notes) VALUES ($1, $2, $3::jsonb, $4::jsonb);

-- name: insert_statement
-- Stores the statement in one language.
INSERT INTO problem_statements (problem_id, language, place, title, kind, html, pdf) VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: insert_statement_file
-- Stores an image, a PDF or an attachment.
INSERT INTO problem_files (problem_id, kind, name, media_type, content) VALUES ($1, $2, $3, $4, $5);

-- name: statement_index
-- Languages, samples, attachments and notes of a problem's current package.
SELECT p.statements_by < $2 AS is_pending, t.samples::text AS samples, t.notes::text AS notes,
       (SELECT json_agg(json_build_array(s.language, s.title) ORDER BY s.place)::text
        FROM problem_statements AS s WHERE s.problem_id = t.problem_id) AS languages,
       (SELECT json_agg(json_build_array(f.name, octet_length(f.content)) ORDER BY f.name)::text
        FROM problem_files AS f WHERE f.problem_id = t.problem_id AND f.kind = 'attachment') AS attachments
FROM problems AS p LEFT JOIN problem_texts AS t ON t.problem_id = p.id AND t.data_hash = p.testcase_hash
WHERE p.id = $1;

-- name: statement_text
-- A statement of a problem's current package.
SELECT s.language, s.title, s.kind, s.html, s.pdf
FROM problems AS p
JOIN problem_texts AS t ON t.problem_id = p.id AND t.data_hash = p.testcase_hash
JOIN problem_statements AS s ON s.problem_id = t.problem_id
WHERE p.id = $1 AND s.language = $2;

-- name: statement_file
-- A file of a problem's current package.
SELECT f.kind, f.name, f.media_type, f.content
FROM problems AS p
JOIN problem_texts AS t ON t.problem_id = p.id AND t.data_hash = p.testcase_hash
JOIN problem_files AS f ON f.problem_id = t.problem_id
WHERE p.id = $1 AND f.kind = $2 AND f.name = $3;

-- name: unrendered_problems
-- A page of problems above the id $2 whose statements are older than version $1.
SELECT id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
       testcase_minio_path AS data_path, testcase_hash AS data_hash, version, unchecked, broken, created_by,
       visibility, tags, languages
FROM problems WHERE statements_by < $1 AND id > $2 ORDER BY id LIMIT $3;
