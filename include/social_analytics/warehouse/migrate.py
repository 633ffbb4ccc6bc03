"""Brings the schema ``analytics`` up to date. The first process that opens it does this."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from include.social_analytics.databases import Database
from include.social_analytics.errors import ErrorCode, JobError

#: The newest revision in ``migrations/versions``. It tells without Alembic whether a migration is missing.
HEAD = "0008"

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('social_analytics.migrate', 0))"


def migrate(analytics: Database) -> None:
    """Apply the missing migrations; two small queries if none is missing.

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
    with analytics.transaction():
        found = analytics.execute("SELECT to_regclass('analytics.alembic_version') IS NOT NULL").fetchone()
        if not found or not found[0]:
            return None
        row = analytics.execute("SELECT version_num FROM analytics.alembic_version").fetchone()
        return row[0] if row else None


def _upgrade(analytics: Database, current: str | None) -> None:
    # Imported here: few processes need it, and the import takes half a second.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            f"The schema analytics is at revision {current}, newer than this package: upgrade the package.",
        )
    # A separate connection to the same database, because SQLAlchemy ends transactions itself.
    info = analytics.connection.info
    parameters: dict[str, Any] = {**info.get_parameters(), "password": info.password or None}
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(**parameters), poolclass=NullPool
    )
    try:
        with engine.begin() as sqlalchemy_connection:
            config.attributes["connection"] = sqlalchemy_connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        # Raise psycopg's own error: the caller knows nothing of SQLAlchemy.
        raise (error.orig or error) from None
