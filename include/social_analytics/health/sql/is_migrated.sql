-- Whether the tables of this version exist: its first run makes them.
SELECT count(*) = 2 AS is_true
FROM pg_class
WHERE relnamespace = to_regnamespace('analytics') AND relname IN ('integration', 'organization')
