-- Whether the tables of this version are there: not before its first run.
SELECT count(*) = 2 AS is_true
FROM pg_class
WHERE relnamespace = to_regnamespace('analytics') AND relname IN ('integration', 'organization')
