"""An account's pins with their totals: https://developers.pinterest.com/docs/api/v5/pins-list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from include.social_analytics.connectors.pinterest import PROVIDER
from include.social_analytics.connectors.pinterest.client import PinterestClient
from include.social_analytics.connectors.reading import Content, Posts, Window, costs_only, posts_published
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.json_values import amount, at, moment, text

#: The most that the API allows.
PAGE_SIZE = 250
#: 50,000 pins: it stops a listing that never ends.
MAX_PAGES = 200
#: After so many answers in a row without a pin that is new, the listing goes round in circles.
MAX_PAGES_WITHOUT_NEWS = 3
MAX_BOOKMARK_LENGTH = 4000
KINDS: Mapping[str, str] = {
    "REGULAR": "image",
    "VIDEO": "video",
    "MAX_VIDEO": "video",
    "CAROUSEL": "carousel",
    "COLLECTION": "collection",
    "IDEA": "idea",
}
#: Far above the limits of Pinterest for a title and a description.
MAX_TITLE_LENGTH = 1000
MAX_DESCRIPTION_LENGTH = 10_000


@dataclass(frozen=True)
class _Pin:
    """A pin whose identity and moment are known; the other fields as the API gave them."""

    id: str
    created_at: datetime
    fields: Mapping[str, object]

    @property
    def day(self) -> date:
        return self.created_at.date()


@dataclass
class _Listing:
    """What has been read of the listing. ``pins`` holds those from the day ``first`` on, by id."""

    first: date
    pins: dict[str, _Pin] = field(default_factory=dict)
    malformed: int = 0
    _seen: set[str] = field(default_factory=set)
    _last: datetime | None = None
    _falls: bool = False
    _rises: bool = False

    def add(self, items: Iterable[object]) -> bool:
        """Take the pins of an answer; whether one of them is new."""
        before = len(self._seen)
        for item in items:
            pin = _pin(item)
            if pin is None:
                self.malformed += 1
                continue
            if self._last is not None:
                self._falls |= pin.created_at < self._last
                self._rises |= pin.created_at > self._last
            self._last = pin.created_at
            self._seen.add(pin.id)
            if pin.day >= self.first:
                self.pins.setdefault(pin.id, pin)
        return len(self._seen) > before

    @property
    def is_past_the_window(self) -> bool:
        """Whether all pins that follow are older than ``first``.

        Pinterest does not say in which order pins come. Only if all pins so far came newest first, the rest
        must be older.
        """
        newest_first = self._falls and not self._rises
        return newest_first and self._last is not None and self._last.date() < self.first


def read_pins(client: PinterestClient, window: Window) -> Posts:
    """The pins of the window with their lifetime totals: a call for 250 pins.

    A failed listing costs neither the day's figures nor the pins that came before.

    :raises JobError: for a failure that is about the whole account (:attr:`ErrorCode.ends_reading`).
    """
    if window.is_past:
        return Posts()
    listing = _Listing(window.first_listed_day)
    missing: list[str] = []
    with costs_only("Some of the pins", missing):
        _read(client, listing)
    if listing.malformed:
        missing.append(f"Pins without an id or a date: {listing.malformed}.")
    return Posts(
        content=tuple(
            _content(pin) for pin in listing.pins.values() if window.first_post_day <= pin.day <= window.day
        ),
        published={} if missing else posts_published((pin.day for pin in listing.pins.values()), window.days),
        missing=tuple(missing),
    )


def _read(client: PinterestClient, listing: _Listing) -> None:
    """Read the listing back to the window.

    :raises JobError: when it breaks off, or does not end.
    """
    bookmark: dict[str, str] = {}
    seen: set[str] = set()
    without_news = 0
    for _ in range(MAX_PAGES):
        body = client.get("pins", page_size=PAGE_SIZE, pin_metrics="true", **bookmark)
        items = body.get("items")
        if not isinstance(items, list):
            raise JobError(ErrorCode.RESPONSE_INVALID, "The API's answer has no list in its field items.")
        without_news = 0 if listing.add(items) else without_news + 1
        following = body.get("bookmark")
        if following in (None, "") or listing.is_past_the_window:
            return
        if not isinstance(following, str) or len(following) > MAX_BOOKMARK_LENGTH:
            raise JobError(ErrorCode.RESPONSE_INVALID, "The listing's bookmark is not a short text.")
        if following in seen or without_news == MAX_PAGES_WITHOUT_NEWS:
            raise JobError(ErrorCode.RESPONSE_INVALID, "The listing goes round in circles.")
        seen.add(following)
        bookmark = {"bookmark": following}
    raise JobError(ErrorCode.RESPONSE_INVALID, f"The listing has more than {MAX_PAGES * PAGE_SIZE} pins.")


def _pin(item: object) -> _Pin | None:
    """A pin; None for an item without an id or a date. Dates come without a zone, and are in UTC."""
    if not isinstance(item, dict):
        return None
    pin_id, created = item.get("id"), item.get("created_at")
    created_at = moment(created) or moment(f"{created}+00:00")
    if not isinstance(pin_id, str) or not re.fullmatch(r"[0-9]{1,50}", pin_id) or created_at is None:
        return None
    return _Pin(pin_id, created_at, item)


def _content(pin: _Pin) -> Content:
    texts = (
        text(pin.fields.get("title"), MAX_TITLE_LENGTH),
        text(pin.fields.get("description"), MAX_DESCRIPTION_LENGTH),
    )
    return Content(
        content_id=pin.id,
        published_at=pin.created_at,
        kind=KINDS.get(str(pin.fields.get("creative_type")), "pin"),
        message="\n".join(filter(None, texts)) or None,
        permalink=f"https://www.pinterest.com/pin/{pin.id}/",
        metrics=_totals(pin),
    )


def _totals(pin: _Pin) -> dict[str, Decimal | None]:
    """A pin's lifetime totals by our names; None where the API gives none."""
    return {
        name: amount(at(pin.fields, "pin_metrics", "lifetime_metrics", source))
        for name, source in PROVIDER.content_metrics.items()
    }
