"""Alembic's entry: migrations run on the connection that ``warehouse.migrate`` hands over."""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
# Asked first: CREATE SCHEMA IF NOT EXISTS wants the right to create even when there is nothing to do.
if connection.scalar(text("SELECT to_regnamespace('analytics')")) is None:
    connection.execute(text("CREATE SCHEMA analytics"))
context.configure(connection=connection, version_table_schema="analytics")
with context.begin_transaction():
    context.run_migrations()
