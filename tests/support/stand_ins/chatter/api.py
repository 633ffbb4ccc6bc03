"""Chatter's API. Its error codes are words."""

from __future__ import annotations

from datetime import UTC, date, timedelta

from include.sandbox.stand_ins.chatter.world import METRICS, Fault, Room, World, make_room
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from include.sandbox import faults, serving
from include.sandbox.stand_ins.base import DEMO_ORGANIZATIONS, Demo, DemoAccount

_ERRORS = {
    "scope_missing": (403, "scopeMissing", "The key may not read insights."),
    "gone": (404, "roomNotFound", "There is no such room."),
    "app_suspended": (403, "appSuspended", "The app that made this key is suspended."),
    "quota_exceeded": (429, "quotaExceeded", "The room's quota is used up."),
    "down": (500, "backendError", "Try again later."),
}


class ChatterApi(serving.Api):
    """The stand-in, for one world."""

    fault_type = Fault

    def __init__(self, world: World, latency: float = 0.0) -> None:
        super().__init__(world, latency)
        self.world = world

    def account_of(self, request: Request) -> str | None:
        """The id of the requested room."""
        room_id = (serving.path_of(request).split("/") + [""] * 3)[3]
        return room_id if room_id in self.world.rooms else None

    def answer(self, request: Request, fault: faults.Fault | None) -> Response:
        """The answer to a request."""
        kind = fault.kind if fault else ""
        room = self.world.rooms.get(self.account_of(request) or "")
        given = request.headers.get("Authorization", "").removeprefix("Chatter ").replace(";", ":")
        if kind == "token_revoked" or given not in {room.token for room in self.world.rooms.values()}:
            key = given.split(":")[0]
            return _error(401, "tokenRevoked", f"The key {key} is revoked. Sent were {given}.")
        if kind in _ERRORS:
            response = _error(*_ERRORS[kind])
            if kind == "quota_exceeded":
                response.headers["Retry-After"] = "600"
            return response
        if request.method != "GET" or room is None or given != room.token:
            return _error(*_ERRORS["gone"])
        try:
            match serving.path_of(request).split("/")[4:]:
                case []:
                    return JSONResponse({"id": room.id, "members": self.world.members(room.id)})
                case ["daily"]:
                    return self._daily(request, room, kind)
                case ["messages"]:
                    return self._messages(request, room, kind)
        except (KeyError, ValueError) as error:
            return _error(400, "badRequest", f"Unusable: {error}")
        return _error(404, "noSuchPath", "There is nothing there.")

    def _daily(self, request: Request, room: Room, kind: str) -> Response:
        query = request.query_params
        metrics = query["metrics"].split(",")
        if unknown := set(metrics) - (set(METRICS) - {"interactions" if kind == "no_interactions" else ""}):
            raise ValueError(f"no metric {', '.join(sorted(unknown))}")
        day, last = date.fromisoformat(query["first"]), date.fromisoformat(query["last"])
        ended = self.world.now().astimezone(UTC).date() - timedelta(days=3 if kind == "late" else 1)
        days = []
        while day <= min(last, ended):
            figures = {metric: self.world.value(room.id, metric, day) for metric in metrics}
            days.append({"day": str(day), **figures})
            day += timedelta(days=1)
        return JSONResponse({"days": days})

    def _messages(self, request: Request, room: Room, kind: str) -> Response:
        query = request.query_params
        if kind == "messages_refused":
            return _error(*_ERRORS["scope_missing"])
        if kind == "messages_down":
            return _error(*_ERRORS["down"])
        size = 5 if kind in ("short_pages", "lost_page") else int(query["limit"])
        if size > 50:
            raise ValueError("limit")
        today = self.world.now().astimezone(UTC).date()
        start = int(query.get("cursor", "0"))
        if kind == "lost_page" and start > 0:
            return _error(*_ERRORS["gone"])
        messages = self.world.messages(room.id, date.fromisoformat(query["since"]), today)
        body: dict[str, object] = {
            "messages": [
                {
                    "id": message.id,
                    "postedAt": message.posted_at.isoformat(),
                    "text": "Good morning!",
                    "link": f"https://chatter.example/{message.id}",
                    "cheers": message.cheers,
                    "replies": message.replies,
                }
                for message in messages[start : start + size]
            ]
        }
        if start + size < len(messages):
            body["nextCursor"] = str(start + size)
        if kind == "foreign_next":
            body["next"] = f"http://attacker.invalid/steal?key={room.token}"
        return JSONResponse(body)


def _error(status: int, reason: str, message: str) -> Response:
    return JSONResponse({"error": {"reason": reason, "message": message, "requestId": "req-1"}}, status)


def demo() -> Demo:
    """A room for each organization."""
    rooms = [make_room(number) for number in range(1, len(DEMO_ORGANIZATIONS) + 1)]
    return Demo(
        ChatterApi(World(rooms)),
        tuple(
            DemoAccount(organization, room.id, room.name, room.identifier, room.token)
            for organization, room in zip(DEMO_ORGANIZATIONS, rooms, strict=True)
        ),
    )
