-- The results are lost; a problem can be verified again after the next upgrade.
DROP TABLE IF EXISTS verified_examples;
DROP TABLE IF EXISTS verifications;
