-- name: claim_statements
-- Marks the statements of package $2 with the edits of edition $4 as rendered by version $3, if the problem still has
-- both and no later version rendered them. The row stays locked, so that writers come one after the other.
UPDATE problems SET statements_by = $3
WHERE id = $1 AND testcase_hash = $2 AND statements_by <= $3 AND statement_edition = $4
RETURNING id;

-- name: delete_statements
-- Deletes a problem's statements with samples, notes and files.
DELETE FROM problem_texts WHERE problem_id = $1;

-- name: insert_problem_texts
-- Stores what belongs to all languages of a problem.
INSERT INTO problem_texts (problem_id, data_hash, samples, notes, takes_outputs)
VALUES ($1, $2, $3::jsonb, $4::jsonb, $5);

-- name: insert_statement
-- Stores the statement in one language.
INSERT INTO problem_statements (problem_id, language, place, title, kind, html, pdf) VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: insert_statement_file
-- Stores an image, a PDF or an attachment.
INSERT INTO problem_files (problem_id, kind, name, media_type, content) VALUES ($1, $2, $3, $4, $5);

-- name: statement_index
-- Languages, samples, attachments and notes of a problem's current package.
SELECT p.statements_by < $2 AS is_pending, t.samples::text AS samples, t.notes::text AS notes, t.takes_outputs,
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

-- name: short_statements
-- The statements of a problem's current package that have no PDF and at most $2 bytes: no longer one is read.
SELECT s.language, s.html
FROM problems AS p
JOIN problem_texts AS t ON t.problem_id = p.id AND t.data_hash = p.testcase_hash
JOIN problem_statements AS s ON s.problem_id = t.problem_id
WHERE p.id = $1 AND s.pdf IS NULL AND octet_length(s.html) <= $2
ORDER BY s.place;

-- name: statement_file
-- A file of a problem's current package, without its content if its mark is among $4. Files are stored with problem_texts, so
-- another content has another rendered_at.
SELECT f.kind, f.name, f.media_type, m.mark, CASE WHEN m.mark = ANY ($4::text[]) THEN '' ELSE f.content END AS content
FROM problems AS p
JOIN problem_texts AS t ON t.problem_id = p.id AND t.data_hash = p.testcase_hash
JOIN problem_files AS f ON f.problem_id = t.problem_id
CROSS JOIN LATERAL (
    SELECT md5(concat_ws('/', p.id, f.kind, f.name, extract(epoch FROM t.rendered_at))) AS mark) AS m
WHERE p.id = $1 AND f.kind = $2 AND f.name = $3;

-- name: claim_unrendered
-- Claims a problem for $2 seconds whose statements are older than version $1, except those that the node cannot render
-- now: ids $3, packages $4, editions $5.
UPDATE problems SET statements_until = now() + make_interval(secs => $2)
WHERE id = (
    SELECT id FROM problems
    WHERE statements_by < $1 AND (statements_until IS NULL OR statements_until <= now())
      AND NOT EXISTS (SELECT FROM unnest($3::bigint[], $4::text[], $5::integer[]) AS s (id, hash, edition)
                      WHERE s.id = problems.id AND s.hash = testcase_hash AND s.edition = statement_edition)
    ORDER BY statements_by, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, title, description, difficulty, time_limit_ms, memory_limit_mb, compare,
          testcase_minio_path AS data_path, testcase_hash AS data_hash, version, unchecked, broken, created_by,
          visibility, tags, languages, statement_edition;

-- name: release_unrendered
-- Ends a claim, so that another node may try at once.
UPDATE problems SET statements_until = NULL WHERE id = $1;

-- name: statement_edits
-- The edition of a problem, with each edited statement; one row without a language if there is none.
SELECT p.statement_edition AS edition, e.language, e.kind, e.source, e.version
FROM problems AS p LEFT JOIN statement_edits AS e ON e.problem_id = p.id
WHERE p.id = $1 ORDER BY e.language;

-- name: lock_statements
-- A problem's package; locked, so that one edit comes after the other.
SELECT testcase_hash AS data_hash FROM problems WHERE id = $1 FOR NO KEY UPDATE;

-- name: statement_edit
-- An edited statement. A query of its own: one that waits for the lock reads joined rows as they were before.
SELECT kind, source, version FROM statement_edits WHERE problem_id = $1 AND language = $2;

-- name: mark_edited
-- Begins an edition of a problem's statements, which are to be rendered. $2: the administrator who does it, or NULL.
WITH edited AS (
    UPDATE problems SET statement_edition = statement_edition + 1, statements_by = 0, statements_until = NULL
    WHERE id = $1 RETURNING id, statement_edition
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $2, 'statement_edited', id::text, jsonb_build_object('language', $3::text) FROM edited
    WHERE $2::text IS NOT NULL
)
SELECT statement_edition FROM edited;

-- name: put_statement_edit
-- Stores an edited statement.
INSERT INTO statement_edits (problem_id, language, kind, source, version) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (problem_id, language) DO UPDATE SET
    kind = excluded.kind, source = excluded.source, version = excluded.version, edited_at = now();

-- name: drop_statement_edit
-- Deletes an edited statement: the package's is shown again.
DELETE FROM statement_edits WHERE problem_id = $1 AND language = $2;
