DROP TABLE IF EXISTS node_languages;
