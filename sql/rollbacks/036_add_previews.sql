-- Open previews are lost; what was applied stays.
DROP TABLE IF EXISTS preview_jobs;
DROP TABLE IF EXISTS previews;
