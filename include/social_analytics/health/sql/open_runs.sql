-- The runs to which these days' jobs belong that have not ended.
SELECT DISTINCT dag_run_id AS run_id
FROM analytics.ingest_job
-- By the index on date.
WHERE date = ANY (%(days)s) AND status = ANY (%(open)s)
