-- Statements for readers, rendered from the problem's package. statements_by: the version of the renderer that made them
-- from the current package; 0: they are still to be rendered.
ALTER TABLE problems ADD COLUMN IF NOT EXISTS statements_by integer NOT NULL DEFAULT 0;
CREATE INDEX IF NOT EXISTS idx_problems_statements ON problems (statements_by, id);

-- Another package has other statements. A trigger, because nodes of the version before know nothing of this column.
CREATE OR REPLACE FUNCTION problems_statements() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.testcase_hash <> OLD.testcase_hash THEN
        NEW.statements_by := 0;
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER IF EXISTS problems_statements ON problems;
CREATE TRIGGER problems_statements BEFORE UPDATE OF testcase_hash ON problems
    FOR EACH ROW EXECUTE FUNCTION problems_statements();

-- What belongs to all languages: samples [{input, output, interaction}] and notes for the setter [sentence]. data_hash:
-- of the package that it was made from.
CREATE TABLE IF NOT EXISTS problem_texts (
    problem_id  bigint      PRIMARY KEY REFERENCES problems (id) ON DELETE CASCADE,
    data_hash   text        NOT NULL,
    samples     jsonb       NOT NULL,
    notes       jsonb       NOT NULL,
    rendered_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS problem_statements (
    problem_id bigint  NOT NULL REFERENCES problem_texts (problem_id) ON DELETE CASCADE,
    language   text    NOT NULL,
    place      integer NOT NULL,
    title      text    NOT NULL,
    kind       text    NOT NULL,
    html       text    NOT NULL,
    pdf        text,
    PRIMARY KEY (problem_id, language),
    CONSTRAINT problem_statements_kind CHECK (kind IN ('html', 'pdf', 'text'))
);

-- Images, PDFs and attachments. They are here and not in the object store because they are small (4 MiB each, 16 MiB of
-- a problem) and must come and go with their rows.
CREATE TABLE IF NOT EXISTS problem_files (
    problem_id bigint NOT NULL REFERENCES problem_texts (problem_id) ON DELETE CASCADE,
    kind       text   NOT NULL,
    name       text   NOT NULL,
    media_type text   NOT NULL,
    content    bytea  NOT NULL,
    PRIMARY KEY (problem_id, kind, name),
    CONSTRAINT problem_files_kind CHECK (kind IN ('shown', 'attachment'))
);
-- images are compressed already
ALTER TABLE problem_files ALTER COLUMN content SET STORAGE EXTERNAL;
