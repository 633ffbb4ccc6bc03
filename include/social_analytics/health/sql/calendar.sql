-- A page of integrations, by name.
WITH in_state AS (
    -- Integrations with a day in the wanted state. Only that state's branch runs: the planner knows before
    -- that the others are false, so they cost nothing.
    SELECT integration_id
    FROM analytics.ingest_job
    WHERE %(state)s::text = %(failed)s AND date BETWEEN %(first)s AND %(last)s
      -- By the index on failures. The planner uses it only for exactly this literal.
      AND status = 'failed'
    UNION
    SELECT integration_id
    -- By the index on date.
    FROM analytics.ingest_job
    WHERE %(state)s::text NOT IN (%(failed)s, %(missing)s) AND date BETWEEN %(first)s AND %(last)s
      AND status = ANY (%(statuses)s)
    UNION
    -- Fewer jobs than days on which they were expected.
    SELECT integration_id
    FROM analytics.integration
    LEFT JOIN (
        SELECT integration_id, count(*) AS days
        -- By the index on date.
        FROM analytics.ingest_job JOIN analytics.integration USING (integration_id)
        WHERE date BETWEEN %(first)s AND %(last)s
          AND date >= expected_from AND (is_active OR date <= last_day)
        GROUP BY integration_id
    ) AS jobs USING (integration_id)
    WHERE %(state)s::text = %(missing)s
      AND coalesce(jobs.days, 0) <
          least(CASE WHEN is_active THEN %(last)s::date ELSE last_day END, %(last)s::date)
          - greatest(expected_from, %(first)s::date) + 1
)
SELECT integration_id AS id, integration.name, organization_id, provider, expected_from,
    CASE WHEN is_active THEN %(last)s ELSE last_day END AS last_day, customer_id, customer_name,
    -- Looked up last, only for the page's rows.
    coalesce(
        (SELECT name FROM analytics.organization
         WHERE organization.organization_id = integration.organization_id),
        organization_id
    ) AS organization_name
FROM analytics.integration LEFT JOIN in_state USING (integration_id)
WHERE first_day <= %(last)s AND (is_active OR last_day >= %(first)s)
  AND (%(state)s::text IS NULL OR in_state.integration_id IS NOT NULL)
  AND (%(organization)s::text IS NULL OR organization_id = %(organization)s)
  AND (%(customer)s::text IS NULL OR customer_id = %(customer)s)
  AND (%(provider)s::text IS NULL OR provider = %(provider)s)
  AND (%(search)s::text IS NULL OR integration_id = %(search)s
       OR position(lower(%(search)s) IN lower(integration.name)) > 0)
  AND (%(after_name)s::text IS NULL OR (integration.name, integration_id) > (%(after_name)s, %(after_id)s))
ORDER BY integration.name, integration_id
LIMIT %(limit)s
