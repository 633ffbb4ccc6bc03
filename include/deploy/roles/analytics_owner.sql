-- The role of the connection analytics_db: owner of the schema analytics and of nothing else.
-- Run it as a superuser in the database for the schema, then set the role's password.
CREATE ROLE social_analytics LOGIN;
CREATE SCHEMA analytics AUTHORIZATION social_analytics;
DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO social_analytics', current_database()); END $$;
