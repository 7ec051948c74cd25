-- Nothing is lost. A node of this version cannot store batches or requeue dead letters any more: stop it first.
DROP TABLE IF EXISTS batch_backlogs;
