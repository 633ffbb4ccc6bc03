"""Alembic's entry: migrations run on the connection that ``warehouse.migrate`` hands over."""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
# CREATE SCHEMA IF NOT EXISTS needs the right to create even if the schema exists. So check first.
if connection.scalar(text("SELECT to_regnamespace('analytics')")) is None:
    connection.execute(text("CREATE SCHEMA analytics"))
context.configure(connection=connection, version_table_schema="analytics")
with context.begin_transaction():
    context.run_migrations()
