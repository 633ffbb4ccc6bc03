"""A stand-in for Pinterest's API: it answers and refuses like it. Never a deployment's default.

It follows Pinterest's description of the API and others' experience, not what this package's connector sends.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from secrets import randbelow
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from include.sandbox import faults, serving
from include.sandbox.stand_ins.pinterest.world import (
    ACCOUNT_METRICS,
    DAYS_OF_PINS,
    PIN_METRICS,
    Account,
    Fault,
    Pin,
    World,
)

_RATES = [f"{metric}_RATE" for metric in ("ENGAGEMENT", "OUTBOUND_CLICK", "PIN_CLICK", "SAVE")]
#: The metrics that can be asked for, as the API lists them.
_METRIC_TYPES = sorted((*ACCOUNT_METRICS, *_RATES))
_CHOICES = {
    "from_claimed_content": ("OTHER", "CLAIMED", "BOTH"),
    "content_type": ("ALL", "PAID", "ORGANIC"),
    "app_types": ("ALL", "MOBILE", "TABLET", "WEB"),
    "source": ("ALL", "YOUR_PINS", "OTHER_PINS"),
    "split_field": ("NO_SPLIT",),
    "pin_filter": ("exclude_native", "exclude_repins", "has_been_promoted"),
    "pin_metrics": ("true", "false"),
    "include_protected_pins": ("true", "false"),
}
#: Neither a day nor the time between two may be further than this.
_MOST_DAYS = 90
#: The number of pins that some faults show at once.
_SHORT_PAGE = 5
_SHORT = (
    "short_pages", "lost_page", "oldest_first", "shuffled", "empty_pages", "same_bookmark", "endless",
)  # fmt: skip


class PinterestError(Exception):
    """An error in the API's words."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self._body = {"code": code, "message": message}

    def response(self) -> Response:
        """The answer."""
        return JSONResponse(self._body, self.status)


_UNAUTHENTICATED = PinterestError(401, 2, "Authentication failed.")
_CLOSED = PinterestError(401, 3, "Authorization failed.")
_DOWN = PinterestError(500, 12, "Something went wrong on our end. Sorry about that.")
_GONE = PinterestError(404, 50, "User not found.")
_THROTTLED = PinterestError(
    429, 8, "This request exceeded a rate limit. This can happen if the client exceeds one\nof the published "
    "rate limits within a short time window.",
)  # fmt: skip
#: Faults that give an error for any request.
_ERRORS: Mapping[str, PinterestError] = {
    "token_expired": _UNAUTHENTICATED,
    "feature_closed": _CLOSED,
    "app_not_approved": PinterestError(403, 3, "Your application consumer type is not supported."),
    "account_gone": _GONE,
    "throttled": _THROTTLED,
    "app_throttled": _THROTTLED,
    "down": _DOWN,
}
_RESETS = {"throttled": "20", "app_throttled": str(6 * 3600)}


class PinterestApi(serving.Api):
    """The stand-in, for one world."""

    fault_type = Fault

    def __init__(self, world: World, latency: float = 0.0) -> None:
        """:param latency: the least seconds that each answer takes."""
        super().__init__(world, latency)
        self.world = world

    def account_of(self, request: Request) -> str | None:
        """The id of the account whose token a request has."""
        account = self._account(request)
        return account.id if account else None

    def answer(self, request: Request, fault: faults.Fault | None) -> Response:
        """The answer to a request."""
        fault = fault if isinstance(fault, Fault) else None
        kind = fault.kind if fault else ""
        try:
            response: Response = JSONResponse(self._answer(request, fault))
        except PinterestError as error:
            response = error.response()
        if kind in _RESETS:
            response.headers["X-RateLimit-Reset"] = _RESETS[kind]
            response.headers["X-RateLimit-Remaining"] = "0"
        response.headers["x-pinterest-rid"] = str(10**15 + randbelow(10**15))
        return response

    def _account(self, request: Request) -> Account | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.world.account_of(token) if scheme.lower() == "bearer" else None

    def _answer(self, request: Request, fault: Fault | None) -> dict[str, Any]:
        account = self._account(request)
        if account is None:
            raise _UNAUTHENTICATED
        if fault and fault.kind in _ERRORS:
            raise _ERRORS[fault.kind]
        ask = _Ask(self.world, account, request, fault)
        match request.method, serving.path_of(request):
            case "GET", "/v5/user_account":
                return ask.account()
            case "GET", "/v5/user_account/analytics":
                return ask.analytics()
            case "GET", "/v5/pins":
                return ask.pins()
        raise PinterestError(404, 6, "API method not found.")


class _Ask:
    """One request of an account."""

    def __init__(self, world: World, account: Account, request: Request, fault: Fault | None) -> None:
        self._world, self._account, self._fault = world, account, fault
        self._query = request.query_params
        self._kind = fault.kind if fault else ""

    def account(self) -> dict[str, Any]:
        self._knows({"ad_account_id"})
        if self._kind == "account_refused":
            raise _CLOSED
        pins = self._all_pins()
        return {
            "account_type": "PINNER" if self._kind == "personal" else "BUSINESS",
            "id": self._account.id,
            "username": self._account.name.lower().replace(" ", ""),
            "business_name": self._account.name,
            "about": "",
            "website_url": "",
            "profile_image": "https://i.pinimg.example/280x280_RS/profile.jpg",
            "board_count": 4,
            "pin_count": len(pins),
            "follower_count": self._world.followers(self._account.id),
            "following_count": 12,
            "monthly_views": 1000,
        }

    def analytics(self) -> dict[str, Any]:
        self._knows(
            {
                "start_date", "end_date", "metric_types", "pin_format", "from_claimed_content",
                "content_type", "app_types", "source", "split_field", "ad_account_id",
            }
        )  # fmt: skip
        start, end = self._day("start_date"), self._day("end_date")
        metrics = self._metric_types()
        if self._kind == "personal":
            raise PinterestError(403, 403, "Not authorized to access the user account analytics.")
        if (self._world.today - start).days > _MOST_DAYS:
            raise PinterestError(400, 1, f"You can only get data from the last {_MOST_DAYS} days.")
        if not 0 <= (end - start).days <= _MOST_DAYS:
            raise PinterestError(400, 1, f"end_date must be 0 to {_MOST_DAYS} days past start_date.")
        days = [start + timedelta(days=n) for n in range((end - start).days + 1)]
        daily = [
            {"date": day.isoformat(), "data_status": (status := self._status(day))}
            | ({} if status.startswith("BEFORE_") else {"metrics": self._metrics(day, metrics, status)})
            for day in days
        ]
        summary = {
            metric: sum(self._world.value(self._account.id, metric, day) for day in days)
            for metric in metrics
            if metric in ACCOUNT_METRICS
        }
        return {"all": {"daily_metrics": daily, "summary_metrics": summary}}

    def _status(self, day: date) -> str:
        ended = datetime.combine(day + timedelta(days=1), time(), UTC)
        # 36 hours: a run is due up to ten hours after the day, and a later one on that day must find it late.
        late = timedelta(hours=36) if self._kind == "processing" else timedelta()
        if ended + late > self._world.now():
            return "PROCESSING"
        if self._fault and self._fault.label:
            return self._fault.label
        return "BEFORE_BUSINESS_CREATED" if self._kind == "no_business_yet" else "READY"

    def _metrics(self, day: date, metrics: list[str], status: str) -> dict[str, float]:
        """A day's metrics. Those of a day that is not ready are too small."""
        share = 1 if status == "READY" else 3
        counts = {
            metric: self._world.value(self._account.id, metric, day) // share for metric in ACCOUNT_METRICS
        }
        views = counts["IMPRESSION"] or 1
        return {
            metric: counts[metric] if metric in counts else counts[metric.removesuffix("_RATE")] / views
            for metric in metrics
        }

    def pins(self) -> dict[str, Any]:
        self._knows(
            {"page_size", "bookmark", "pin_metrics", "pin_filter", "include_protected_pins", "ad_account_id"}
        )
        size = self._query.get("page_size", "25")
        if not size.isdigit() or not 1 <= int(size) <= 250:
            raise PinterestError(400, 1, f"Invalid request: {size!r} is not between 1 and 250")
        if self._kind == "pins_refused":
            raise _CLOSED
        if self._kind == "pins_down":
            raise _DOWN
        pins = self._all_pins()
        match self._kind:
            case "oldest_first":
                pins.reverse()
            case "shuffled":
                pins.sort(key=lambda pin: pin.id[::-1])
        step = _SHORT_PAGE if self._kind in _SHORT else int(size)
        start = self._offset()
        if self._kind == "lost_page" and start > 0:
            raise _GONE
        with_metrics = self._query.get("pin_metrics") == "true"
        if self._kind == "empty_pages" and start == step and "empty" not in self._query.get("bookmark", ""):
            return {"items": [], "bookmark": f"{_bookmark(start)}.empty"}
        at = start % (len(pins) + step) if self._kind == "endless" else start
        following: str | None = _bookmark(start + step) if start + step < len(pins) else None
        match self._kind:
            case "same_bookmark":
                following = _bookmark(step)
            case "endless":
                following = _bookmark(start + step)
            case "foreign_next":
                following = "http://attacker.invalid/pins"
        answer = {
            "items": [self._pin(pin, with_metrics) for pin in pins[at : at + step]],
            "bookmark": following,
        }
        if self._kind == "foreign_next":
            answer["next"] = f"http://attacker.invalid/steal?access_token={self._account.token}"
        return answer

    def _all_pins(self) -> list[Pin]:
        today = self._world.today
        return self._world.pins(self._account.id, today - timedelta(days=DAYS_OF_PINS), today)

    def _pin(self, pin: Pin, with_metrics: bool) -> dict[str, Any]:
        totals = {metric: self._world.pin_value(pin, metric) for metric in PIN_METRICS}
        metrics: dict[str, Any] = {
            "pin_metrics": None
            if self._kind == "no_totals"
            else {
                "90d": {name: totals[name] for name in ("impression", "pin_click", "clickthrough", "save")},
                "lifetime_metrics": totals,
            }
        }
        return {
            "id": pin.id,
            # As the API writes it: in UTC, without a zone.
            "created_at": pin.created_at.strftime("%Y-%m-%dT%H:%M:%S"),
            "creative_type": pin.creative_type,
            "title": pin.title,
            "description": pin.description,
            "link": "https://shop.example/",
            "alt_text": None,
            "board_id": f"{self._account.id}1",
            "board_section_id": None,
            "board_owner": {"username": self._account.name.lower().replace(" ", "")},
            "dominant_color": "#cacafe",
            "has_been_promoted": False,
            "is_owner": True,
            "is_standard": True,
            "parent_pin_id": None,
            "media": {"media_type": "video" if pin.creative_type == "VIDEO" else "image"},
        } | (metrics if with_metrics else {})

    def _knows(self, parameters: set[str]) -> None:
        if unknown := set(self._query) - parameters:
            raise PinterestError(400, 1, f"Invalid request: unexpected parameters {sorted(unknown)}")
        for name, choices in _CHOICES.items():
            if (given := self._query.get(name)) is not None and given not in choices:
                raise PinterestError(400, 1, f"Invalid request: {given!r} is not one of {list(choices)}")

    def _metric_types(self) -> list[str]:
        retired = self._fault.metric if self._fault else None
        there_are = [metric for metric in _METRIC_TYPES if metric != retired]
        asked = self._query.get("metric_types")
        if asked is None:
            return there_are
        for metric in asked.split(","):
            if metric not in there_are:
                raise PinterestError(400, 1, f"Invalid request: {metric!r} is not one of {there_are}")
        return asked.split(",")

    def _day(self, name: str) -> date:
        given = self._query.get(name, "")
        try:
            day = date.fromisoformat(given)
        except ValueError:
            day = None
        if day is None or day.isoformat() != given:
            raise PinterestError(400, 1, f"Invalid request: {name} {given!r} is not a 'date'")
        return day

    def _offset(self) -> int:
        given = self._query.get("bookmark", "").removesuffix(".empty")
        try:
            return int(base64.urlsafe_b64decode(given.encode()).decode() or 0)
        except ValueError:
            raise PinterestError(400, 1, "Invalid bookmark.") from None


def _bookmark(position: int) -> str:
    return base64.urlsafe_b64encode(f"{position:012}".encode()).decode()
