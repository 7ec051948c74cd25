-- What is known of the programs (checker, interactor) of a problem's package. unchecked: why the node that took it could
-- not compile them; NULL: it did, or there are none, or it was before this column. broken: which of them another node
-- found not to compile.
ALTER TABLE problems ADD COLUMN IF NOT EXISTS unchecked text;
ALTER TABLE problems ADD COLUMN IF NOT EXISTS broken    text;

CREATE INDEX IF NOT EXISTS idx_problems_unchecked ON problems (id) WHERE unchecked IS NOT NULL;

-- Objects of packages that no problem names: those that are about to be stored, and those that were named once. What has
-- stood here for long may be deleted.
CREATE TABLE IF NOT EXISTS loose_objects (
    key   text        PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS idx_loose_objects_since ON loose_objects (since);
CREATE INDEX IF NOT EXISTS idx_problems_object ON problems (testcase_minio_path);

-- In the transaction that names an object, or no longer does.
CREATE OR REPLACE FUNCTION problems_object() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND OLD.testcase_minio_path <> NEW.testcase_minio_path) THEN
        INSERT INTO loose_objects (key) VALUES (OLD.testcase_minio_path)
        ON CONFLICT (key) DO UPDATE SET since = now();
    END IF;
    IF TG_OP <> 'DELETE' THEN
        DELETE FROM loose_objects WHERE key = NEW.testcase_minio_path;
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS problems_object ON problems;
CREATE TRIGGER problems_object AFTER INSERT OR DELETE OR UPDATE OF testcase_minio_path ON problems
    FOR EACH ROW EXECUTE FUNCTION problems_object();
