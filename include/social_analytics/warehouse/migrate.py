"""Brings the schema ``analytics`` up to date. The first process that opens it does this."""

from __future__ import annotations

import io
from pathlib import Path

from psycopg import errors

from include.social_analytics.databases import Database, translated_errors
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.warehouse import complete_days

#: The newest revision in ``migrations/versions``. It tells without Alembic whether a migration is missing.
HEAD = "0013"

_MIGRATIONS = Path(__file__).parent / "migrations"
_VIEWS = Path(__file__).parent / "views.sql"
#: What each table, view and column means.
COMMENTS = Path(__file__).parent / "comments.sql"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('social_analytics.migrate', 0))"


def migrate(analytics: Database) -> None:
    """Apply the missing migrations; one small query if none is missing.

    Safe when several processes call it at once. The role needs to own the schema, or be allowed to
    create it.

    :raises JobError: ``config_invalid`` when the schema is newer than this package.
    """
    if _revision(analytics) == HEAD:
        return
    with analytics.transaction():
        analytics.execute(_LOCK)
        current = _revision(analytics)
        if current != HEAD:
            _upgrade(analytics, current)


def _revision(analytics: Database) -> str | None:
    """The schema's revision; ``None`` if there is no schema yet. Within a transaction, it is a savepoint.

    A query sees a table that was made while this process waited for the lock; to_regclass() does not.
    """
    with translated_errors(analytics.conn_id):
        try:
            with analytics.connection.transaction():
                row = analytics.connection.execute(
                    "SELECT version_num FROM analytics.alembic_version"
                ).fetchone()
        except errors.UndefinedTable:
            return None
    return row[0] if row else None


def _upgrade(analytics: Database, current: str | None) -> None:
    """Run the missing migrations on the caller's connection, in its transaction.

    Alembic writes them as SQL and connects to nothing: behind a pool, a second connection may never come
    while this one holds the lock.
    """
    # Imported here: few processes need it, and the import takes half a second.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    written = io.StringIO()
    config = Config(output_buffer=written)
    config.set_main_option("script_location", str(_MIGRATIONS))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            f"The schema analytics is at revision {current}, newer than this package: upgrade the package.",
        )
    command.upgrade(config, f"{current or 'base'}:head", sql=True)
    # CREATE SCHEMA IF NOT EXISTS needs the right to create even if the schema exists. So check first.
    there = analytics.execute("SELECT to_regnamespace('analytics') IS NOT NULL").fetchone()
    if not there or not there[0]:
        analytics.execute("CREATE SCHEMA analytics")
    analytics.execute(written.getvalue())
    analytics.execute(views())
    analytics.execute(COMMENTS.read_text())


def views() -> str:
    """The statements of ``views.sql``, which make the views or replace them.

    Which day is complete is written into them. If it changes there, a new revision is due, even an empty one:
    then each database gets its views anew.
    """
    literals = {
        name: "'{" + ",".join(values) + "}'::text[]"  # Our own words: letters and "_".
        for name, values in complete_days.COMPLETE.items()
    }
    columns = {"provider": "listed.provider", "first": "(back.day - 1)", "last": "(back.day - 1)"}
    return (
        _VIEWS.read_text()
        .replace("{newest_complete}", complete_days.NEWEST_COMPLETE % (columns | literals))
        .replace("{complete_statuses}", literals["complete_statuses"])
    )
