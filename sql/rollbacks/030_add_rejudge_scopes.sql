-- The version before would rejudge everything where only some submissions were ordered: such an order ends.
DO $$
BEGIN
    IF EXISTS (SELECT FROM information_schema.columns
               WHERE table_schema = current_schema() AND table_name = 'rejudges' AND column_name = 'verdict') THEN
        UPDATE rejudges SET finished_at = now()
        WHERE finished_at IS NULL AND (verdict, language, since, until) IS DISTINCT FROM (NULL, NULL, NULL, NULL);
    END IF;
END
$$;
ALTER TABLE rejudges DROP COLUMN IF EXISTS until;
ALTER TABLE rejudges DROP COLUMN IF EXISTS since;
ALTER TABLE rejudges DROP COLUMN IF EXISTS language;
ALTER TABLE rejudges DROP COLUMN IF EXISTS verdict;
