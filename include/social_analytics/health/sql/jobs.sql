-- Some jobs, by the primary key.
SELECT integration_id, date, status, error_class, error_code, dag_run_id AS run_id, map_index
FROM analytics.ingest_job
WHERE job_id = ANY (%(job_ids)s)
