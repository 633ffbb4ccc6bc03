"""`make env`: write .env from .env.example with fresh secrets. Needs nothing but Python."""

from __future__ import annotations

import base64
import re
import secrets
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path


def fill_in(example: str, now: datetime) -> str:
    """The text of ``.env.example`` with a value wherever one is needed and missing."""
    text = re.sub(
        r"(?m)^(\w+_(?:PASSWORD|SECRET|KEY))=$", lambda found: f"{found[1]}={_secret(found[1])}", example
    )
    return re.sub(r"(?m)^(\w+_START_DATE)=$", rf"\g<1>={_first_day(now)}", text)


def _first_day(now: datetime) -> date:
    """The latest day whose run is due, so that there is something to run at once."""
    # By default a day's run starts at 10:00 UTC on the day after, or earlier.
    return (now.astimezone(UTC) - timedelta(hours=34)).date()


def _secret(name: str) -> str:
    if name.endswith("FERNET_KEY"):
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    # Hexadecimal needs no quoting in URLs and on command lines. 64 characters: Airflow's JWTs want 64 bytes.
    return secrets.token_hex(32)


def main() -> int:
    """Run in the project's directory; returns the exit status."""
    try:
        # Only its owner can read it, from the first byte on. An existing file is never overwritten.
        Path(".env").touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        print("error: .env exists already; it may hold the only copy of a password.", file=sys.stderr)
        return 2
    Path(".env").write_text(fill_in(Path(".env.example").read_text(), datetime.now(UTC)))
    print("Wrote .env. Give it AIRFLOW_CONN_POSTIZ_DB, then: docker compose up --build --detach")
    return 0


if __name__ == "__main__":
    sys.exit(main())
