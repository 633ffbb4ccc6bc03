"""Alembic's entry: migrations become SQL, which ``warehouse.migrate`` runs in a transaction of its own."""

from alembic import context

context.configure(
    dialect_name="postgresql",
    # No "%" is doubled for a driver.
    dialect_opts={"paramstyle": "named"},
    transactional_ddl=False,
    version_table_schema="analytics",
)
with context.begin_transaction():
    context.run_migrations()
