-- A role for dashboards, dbt and people: it reads the tables and views of the schema analytics and nothing else.
-- Run it as a superuser in the database that holds the schema, after analytics_owner.sql. Then set the role's password.
CREATE ROLE analytics_reader LOGIN;
ALTER ROLE analytics_reader SET default_transaction_read_only = on;
-- To compile a view's query takes Postgres longer than to answer it.
ALTER ROLE analytics_reader SET jit = off;
DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO analytics_reader', current_database()); END $$;
GRANT USAGE ON SCHEMA analytics TO analytics_reader;
-- What is there, and what the owner's migrations and runs will make.
GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO analytics_reader;
DO $$
BEGIN
    EXECUTE format(
        'ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA analytics GRANT SELECT ON TABLES TO analytics_reader',
        (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'analytics')
    );
END $$;
