-- What readings lack that were stored all the same, each integration by its latest such day. The reasons of the
-- most integrations come first. Each provider and reason has at most "named" rows, and each row has the counts of
-- all of them.
WITH lacking AS (
    -- The ids of an integration's jobs differ only in the day at their end (jobs.py).
    SELECT integration_id, max(date) AS date, max(job_id) AS latest
    FROM analytics.ingest_job
    -- By the index on reasons. The planner uses it only for exactly this condition.
    WHERE status IN ('succeeded', 'no_data', 'pending', 'recovered') AND reason IS NOT NULL
      AND date BETWEEN %(first)s AND %(last)s
      AND (%(organization)s::text IS NULL OR organization_id = %(organization)s)
      AND (%(customer)s::text IS NULL
           OR integration_id IN (SELECT integration_id FROM analytics.integration WHERE customer_id = %(customer)s))
      AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    GROUP BY integration_id
), named AS (
    SELECT lacking.integration_id, lacking.date, job.organization_id, job.provider, job.reason, job.map_index,
        job.dag_run_id AS run_id, coalesce(integration.name, lacking.integration_id) AS name,
        integration.customer_id, integration.customer_name
    FROM lacking JOIN analytics.ingest_job AS job ON job.job_id = lacking.latest
    LEFT JOIN analytics.integration ON integration.integration_id = lacking.integration_id
    WHERE NOT EXISTS (
        -- Over, if a later day lacks nothing. By the primary key.
        SELECT
        FROM generate_series(%(last)s::date, lacking.date + 1, interval '-1 day') AS later (day)
        JOIN analytics.ingest_job AS later_job
            ON later_job.job_id = left(lacking.latest, -length('YYYY-MM-DD')) || to_char(later.day, 'YYYY-MM-DD')
        WHERE later_job.status = 'succeeded' AND later_job.reason IS NULL
    )
), counted AS (
    SELECT *, count(*) OVER alike AS integrations, max(date) OVER alike AS newest,
        row_number() OVER (alike ORDER BY name, integration_id) AS place
    FROM named
    WINDOW alike AS (PARTITION BY provider, reason)
), ranked AS (
    SELECT *, dense_rank() OVER (ORDER BY integrations DESC, reason, provider) AS rank
    FROM counted
)
SELECT provider, reason, integrations, newest, integration_id AS id, ranked.name, ranked.organization_id,
    coalesce(organization.name, ranked.organization_id) AS organization_name, customer_id, customer_name, date, run_id,
    map_index,
    (SELECT max(rank) FROM ranked) AS reasons
FROM ranked LEFT JOIN analytics.organization USING (organization_id)
WHERE place <= %(named)s AND rank <= %(most)s
ORDER BY rank, place
