"""Facebook pages whose names and posts hold markup, templates, quotes and SQL."""

from __future__ import annotations

from collections.abc import Iterable

from include.sandbox.stand_ins.facebook.world import Page, World, make_page

#: The braces take a page's number.
NAMES = (
    "Café {}",
    "Page & Söhne {}",
    "O'Brien's {}",
    '<script>alert("{}")</script>',
    "{{{{ {} }}}}",
    "Shop {}",
)

MESSAGES = (
    "New in: autumn bread 🍞 - come by!",
    'She said "hello" & <b>waved</b>',
    "It's raining; DROP TABLE umbrellas;--",
    "Öffnungszeiten: 9-18 Uhr\nWir freuen uns",
    None,
)


def hostile_page(number: int) -> Page:
    """The ``number``-th page, with a hostile name."""
    return make_page(number, name=NAMES[number % len(NAMES)].format(number))


def hostile_world(numbers: Iterable[int], **options: object) -> World:
    """A world of these pages, with hostile posts. ``options`` go to the world."""
    return World(map(hostile_page, numbers), messages=MESSAGES, **options)
