-- Tokens that were ended one by one are valid again until they expire: the older program does not know of them.
DROP TABLE IF EXISTS access_tokens;
