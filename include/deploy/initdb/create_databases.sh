#!/usr/bin/env bash
# Run by Postgres's image on an empty data directory: Airflow's database, and the analytics one with its owner and
# its reader.
set -euo pipefail
roles=$(dirname "${BASH_SOURCE[0]}")/../roles

# psql reads the passwords from its environment, so that no command line shows them.
psql --set ON_ERROR_STOP=1 --username postgres --dbname postgres <<'SQL'
\getenv airflow_password AIRFLOW_DB_PASSWORD
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE analytics;
REVOKE ALL ON DATABASE airflow, analytics FROM PUBLIC;
SQL
psql --set ON_ERROR_STOP=1 --username postgres --dbname analytics \
    --file "$roles/analytics_owner.sql" --file "$roles/analytics_reader.sql"
psql --set ON_ERROR_STOP=1 --username postgres --dbname analytics <<'SQL'
\getenv analytics_password ANALYTICS_DB_PASSWORD
ALTER ROLE social_analytics PASSWORD :'analytics_password';
\getenv reader_password ANALYTICS_READER_PASSWORD
ALTER ROLE analytics_reader PASSWORD :'reader_password';
SQL
