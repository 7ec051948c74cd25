-- Statements that setters wrote here, in place of those of the package. They stay when the problem gets another package.
CREATE TABLE IF NOT EXISTS statement_edits (
    problem_id bigint      NOT NULL REFERENCES problems (id) ON DELETE CASCADE,
    language   text        NOT NULL,
    kind       text        NOT NULL,
    source     text        NOT NULL,
    -- problems.statement_edition when it was saved
    version    integer     NOT NULL,
    edited_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (problem_id, language),
    CONSTRAINT statement_edits_kind CHECK (kind IN ('md', 'tex'))
);

-- statement_edition: grows with each edit, so that what was rendered without it replaces nothing.
-- statements_until: a judge node renders the statements until then; others leave the problem out.
ALTER TABLE problems ADD COLUMN IF NOT EXISTS statement_edition integer NOT NULL DEFAULT 0;
ALTER TABLE problems ADD COLUMN IF NOT EXISTS statements_until timestamptz;
