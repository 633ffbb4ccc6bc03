"""Made-up Chatter rooms. Every figure is derived from its room, metric and day."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from include.sandbox import faults
from include.sandbox.faults import Faults

METRICS = {"people": 800, "interactions": 90}


@dataclass(frozen=True)
class Fault(faults.Fault):
    """How the API misbehaves."""

    KINDS = faults.SERVER_FAULTS | {
        "token_revoked": "tokenRevoked, HTTP 401; the message repeats the key",
        "scope_missing": "scopeMissing, HTTP 403",
        "gone": "roomNotFound, HTTP 404",
        "app_suspended": "appSuspended, HTTP 403",
        "quota_exceeded": "quotaExceeded, HTTP 429, with Retry-After",
        "down": "backendError, HTTP 500",
        "late": "a day that ended in the last two days is not there yet",
        "no_interactions": "a call that asks for interactions is refused: badRequest, HTTP 400",
        "messages_refused": "each listing of messages is refused: scopeMissing, HTTP 403",
        "messages_down": "each listing of messages fails: backendError, HTTP 500",
        "lost_page": "a listing's second page is refused: roomNotFound, HTTP 404",
        "short_pages": "a listing shows five messages at once",
        "foreign_next": "a listing leads to another host",
    }


@dataclass(frozen=True)
class Room:
    """A room, and the token that its owner gave Postiz: ``key:secret``."""

    id: str
    name: str
    token: str = field(repr=False)
    identifier: str = "chatter"


@dataclass(frozen=True)
class Message:
    """A message in a room."""

    id: str
    posted_at: datetime
    cheers: int
    replies: int


class World:
    """Rooms by id, their figures, and the faults in force."""

    def __init__(
        self, rooms: Iterable[Room], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.rooms = {room.id: room for room in rooms}
        self.now = now
        self.faults = Faults()
        self._percent: dict[tuple[str, date], int] = {}

    def restate(self, room_id: str, day: date, percent: int) -> None:
        """Set a day's figures to this percentage of what they were. At 0 the day has no messages either."""
        self._percent[room_id, day] = percent

    def value(self, room_id: str, metric: str, day: date) -> int:
        """A metric of ``METRICS`` for a day in UTC."""
        made = METRICS[metric] * (50 + _number(room_id, metric, day.isoformat()) % 100) // 100
        return made * self._percent.get((room_id, day), 100) // 100

    def members(self, room_id: str) -> int:
        """The number of members now."""
        return 1000 + _number(room_id) % 1000 + self.now().toordinal() % 100

    def messages(self, room_id: str, first: date, last: date) -> list[Message]:
        """The messages from ``first`` to ``last`` and before now, the newest first."""
        found = []
        for back in range((last - first).days + 1):
            day = last - timedelta(days=back)
            posted = datetime.combine(day, time(9, _number(room_id, str(day)) % 60), UTC)
            if posted <= self.now() and self._percent.get((room_id, day)) != 0:
                number = _number(room_id, "message", str(day))
                found.append(Message(f"{room_id}-{day:%Y%m%d}", posted, number % 50, number % 7))
        return found


def make_room(number: int, **options: str) -> Room:
    """The ``number``-th room, with a token that looks like a real one."""
    key, secret = (hashlib.sha256(f"{part}:{number}".encode()).hexdigest()[:32] for part in ("key", "secret"))
    return Room(f"room{number:06}", **{"name": f"Room {number}", "token": f"ck_{key}:cs_{secret}", **options})


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("|".join(parts).encode(), digest_size=8).digest())
