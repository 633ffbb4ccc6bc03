-- Whether the tables of this version exist: its first run makes them.
SELECT EXISTS (
    SELECT FROM pg_attribute
    WHERE attrelid = to_regclass('analytics.integration') AND attname = 'customer_id'
) AS is_true
