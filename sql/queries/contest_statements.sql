-- name: contest_statement_edits
-- The edition of a problem's statements in the contest $1, with each edited statement: those of the contest, and in other
-- languages those of the problem, with the version 0; one row without a language if there is none.
SELECT p.statement_edition + coalesce(t.edition, 0) AS edition, e.language, e.kind, e.source, e.pdf, e.version
FROM problems AS p
LEFT JOIN contest_texts AS t ON t.contest_id = $1 AND t.problem_id = p.id
LEFT JOIN LATERAL (
    SELECT c.language, c.kind, c.source, c.pdf, c.version
    FROM contest_statement_edits AS c WHERE c.contest_id = $1 AND c.problem_id = p.id
    UNION ALL
    SELECT o.language, o.kind, o.source, NULL, 0
    FROM statement_edits AS o
    WHERE o.problem_id = p.id
      AND NOT EXISTS (SELECT FROM contest_statement_edits AS c
                      WHERE c.contest_id = $1 AND c.problem_id = p.id AND c.language = o.language)
) AS e ON true
WHERE p.id = $2
ORDER BY e.language;

-- name: contest_statement_edit
-- The label of a contest's problem, and what the contest says in a language, if anything. A query of its own, after the
-- locks: see statement_edit.
SELECT p.label, e.kind, e.source, e.pdf, e.version
FROM contest_problems AS p
LEFT JOIN contest_statement_edits AS e
    ON e.contest_id = p.contest_id AND e.problem_id = p.problem_id AND e.language = $3
WHERE p.contest_id = $1 AND p.problem_id = $2;

-- name: begin_contest_edition
-- Begins an edition of a problem's statements in a contest, which are to be rendered.
INSERT INTO contest_texts AS t (contest_id, problem_id, edition) VALUES ($1, $2, 1)
ON CONFLICT (contest_id, problem_id) DO UPDATE SET edition = t.edition + 1, lease_until = NULL
RETURNING t.edition + (SELECT statement_edition FROM problems WHERE id = $2) AS edition;

-- name: put_contest_statement
-- Stores what a contest says in a language.
INSERT INTO contest_statement_edits (contest_id, problem_id, language, kind, source, pdf, version)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (contest_id, problem_id, language) DO UPDATE SET
    kind = excluded.kind, source = excluded.source, pdf = excluded.pdf, version = excluded.version;

-- name: drop_contest_statement
-- Deletes what a contest says in a language; after the last one, readers have the problem's own statements at once.
WITH dropped AS (
    DELETE FROM contest_statement_edits WHERE contest_id = $1 AND problem_id = $2 AND language = $3
)
UPDATE contest_texts SET texts = NULL
WHERE contest_id = $1 AND problem_id = $2
  AND NOT EXISTS (SELECT FROM contest_statement_edits
                  WHERE contest_id = $1 AND problem_id = $2 AND language <> $3);

-- name: contest_statement_languages
-- What a problem's event says of its statements in a contest: the languages of those that the contest has of its own, and
-- each language in which there is one, with whether it is a PDF.
SELECT coalesce(array_agg(s.language ORDER BY s.language) FILTER (WHERE s.is_own), '{}') AS own,
       coalesce(json_agg(json_build_array(s.language, s.is_pdf) ORDER BY s.language), '[]')::text AS files
FROM (
    SELECT e.language, e.kind = 'pdf' AS is_pdf, true AS is_own
    FROM contest_statement_edits AS e WHERE e.contest_id = $1 AND e.problem_id = $2
    UNION ALL
    SELECT o.language, o.pdf IS NOT NULL, false
    FROM problems AS p
    JOIN problem_texts AS t ON t.problem_id = p.id AND t.data_hash = p.testcase_hash
    JOIN problem_statements AS o ON o.problem_id = p.id
    WHERE p.id = $2
      AND NOT EXISTS (SELECT FROM contest_statement_edits AS e
                      WHERE e.contest_id = $1 AND e.problem_id = $2 AND e.language = o.language)
) AS s;

-- name: contest_statement_act
-- A row of the log of administrative acts: $3, an administrator, has changed a statement of the contest $1.
INSERT INTO admin_events (actor, act, subject, details)
SELECT $3::text, 'contest_changed', c.key, jsonb_build_object('contest_id', c.id) || $2::jsonb
FROM contests AS c WHERE c.id = $1 AND $3::text IS NOT NULL;

-- name: keep_contest_texts
-- Stores rendered statements of a contest's problem, if its package and edition are those from which they were made, no later
-- version rendered them, and the contest still has a statement of its own.
UPDATE contest_texts AS t
SET data_hash = $3, made_of = $4, renderer = $5, texts = $6::jsonb, samples = $7::jsonb, notes = $8::jsonb
FROM problems AS p
WHERE t.contest_id = $1 AND t.problem_id = $2 AND p.id = t.problem_id AND p.testcase_hash = $3
  AND p.statement_edition + t.edition = $4
  AND (t.renderer <= $5 OR t.data_hash <> $3 OR t.made_of <> $4)
  AND EXISTS (SELECT FROM contest_statement_edits AS e WHERE e.contest_id = t.contest_id AND e.problem_id = t.problem_id)
RETURNING t.problem_id;

-- name: delete_contest_files
-- Deletes the files of a problem's statements in a contest.
DELETE FROM contest_files WHERE contest_id = $1 AND problem_id = $2;

-- name: insert_contest_file
-- Stores an image, a PDF or an attachment.
INSERT INTO contest_files (contest_id, problem_id, kind, name, media_type, content) VALUES ($1, $2, $3, $4, $5, $6);

-- name: contest_statement_index
-- Languages, samples, attachments and notes of a problem in a contest that has statements of its own for it. No row: it has
-- none. languages NULL: they are not rendered yet.
SELECT t.renderer < $3 OR t.data_hash <> p.testcase_hash OR t.made_of <> p.statement_edition + t.edition AS is_pending,
       t.samples::text AS samples, t.notes::text AS notes,
       (SELECT o.takes_outputs FROM problem_texts AS o
        WHERE o.problem_id = p.id AND o.data_hash = p.testcase_hash) AS takes_outputs,
       (SELECT json_agg(json_build_array(s.value -> 'language', s.value -> 'title') ORDER BY s.n)::text
        FROM jsonb_array_elements(t.texts) WITH ORDINALITY AS s (value, n)) AS languages,
       (SELECT json_agg(json_build_array(f.name, octet_length(f.content)) ORDER BY f.name)::text FROM contest_files AS f
        WHERE f.contest_id = t.contest_id AND f.problem_id = t.problem_id AND f.kind = 'attachment') AS attachments
FROM contest_texts AS t JOIN problems AS p ON p.id = t.problem_id
WHERE t.contest_id = $1 AND t.problem_id = $2
  AND EXISTS (SELECT FROM contest_statement_edits AS e WHERE e.contest_id = t.contest_id AND e.problem_id = t.problem_id);

-- name: contest_statement_text
-- A statement of a problem in a contest with statements of its own for it. No row: the problem's are shown. NULL: there is
-- none in this language.
SELECT (SELECT s::text FROM jsonb_array_elements(t.texts) AS s WHERE s ->> 'language' = $3 LIMIT 1) AS text
FROM contest_texts AS t
WHERE t.contest_id = $1 AND t.problem_id = $2 AND t.texts IS NOT NULL;

-- name: contest_statement_file
-- A file of a problem in a contest with statements of its own for it. No row: the problem's are shown. Without a kind there
-- is no such file. The content is left out if the file's mark is among $5. xmin is the transaction that stored the file: a
-- problem that is removed from the contest and added again begins with the first edition again.
SELECT f.kind, f.name, f.media_type, m.mark, CASE WHEN m.mark = ANY ($5::text[]) THEN '' ELSE f.content END AS content
FROM contest_texts AS t
LEFT JOIN contest_files AS f
    ON f.contest_id = t.contest_id AND f.problem_id = t.problem_id AND f.kind = $3 AND f.name = $4
CROSS JOIN LATERAL (
    SELECT md5(concat_ws('/', t.contest_id, t.problem_id, f.kind, f.name, t.data_hash, t.made_of, t.renderer, f.xmin)) AS mark
) AS m
WHERE t.contest_id = $1 AND t.problem_id = $2 AND t.texts IS NOT NULL;

-- name: claim_contest_texts
-- Claims a problem of a contest for $2 seconds whose statements there are to be rendered, except those that the node cannot
-- render now: contests $3, problems $4, packages $5, editions $6.
UPDATE contest_texts AS t SET lease_until = now() + make_interval(secs => $2)
FROM problems AS p
WHERE p.id = t.problem_id AND (t.contest_id, t.problem_id) = (
    SELECT c.contest_id, c.problem_id
    FROM contest_texts AS c JOIN problems AS o ON o.id = c.problem_id
    WHERE (c.renderer < $1 OR c.data_hash <> o.testcase_hash OR c.made_of <> o.statement_edition + c.edition)
      AND (c.lease_until IS NULL OR c.lease_until <= now())
      AND EXISTS (SELECT FROM contest_statement_edits AS e
                  WHERE e.contest_id = c.contest_id AND e.problem_id = c.problem_id)
      AND NOT EXISTS (
          SELECT FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::integer[]) AS s (contest, id, hash, edition)
          WHERE s.contest = c.contest_id AND s.id = c.problem_id AND s.hash = o.testcase_hash
            AND s.edition = o.statement_edition + c.edition)
    ORDER BY c.contest_id, c.problem_id LIMIT 1 FOR UPDATE OF c SKIP LOCKED)
RETURNING t.contest_id, p.id, p.title, p.description, p.difficulty, p.time_limit_ms, p.memory_limit_mb, p.compare,
          p.testcase_minio_path AS data_path, p.testcase_hash AS data_hash, p.version, p.unchecked, p.broken, p.created_by,
          p.visibility, p.tags, p.languages, p.statement_edition + t.edition AS edition;

-- name: release_contest_texts
-- Ends a claim, so that another node may try at once.
UPDATE contest_texts SET lease_until = NULL WHERE contest_id = $1 AND problem_id = $2;

-- name: copy_contest_texts
-- Gives the contest $2 the statements that the contest $1 has of its own, as they are rendered.
WITH texts AS (
    INSERT INTO contest_texts
    SELECT n.* FROM contest_texts AS t
    CROSS JOIN LATERAL jsonb_populate_record(t, jsonb_build_object('contest_id', $2::bigint, 'lease_until', NULL)) AS n
    WHERE t.contest_id = $1
),
files AS (
    INSERT INTO contest_files (contest_id, problem_id, kind, name, media_type, content)
    SELECT $2, problem_id, kind, name, media_type, content FROM contest_files WHERE contest_id = $1
)
INSERT INTO contest_statement_edits (contest_id, problem_id, language, kind, source, pdf, version)
SELECT $2, problem_id, language, kind, source, pdf, version FROM contest_statement_edits WHERE contest_id = $1;
