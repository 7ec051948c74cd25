-- New passwords that have not taken effect are gone: make them again. All passwords that hold stay.
DROP TABLE IF EXISTS pending_passwords;
