"""The demo's Facebook pages: most are healthy, some have common faults."""

from __future__ import annotations

from datetime import timedelta

from include.sandbox.stand_ins.base import Demo, DemoAccount
from include.sandbox.stand_ins.facebook.graph_api import GraphApi
from include.sandbox.stand_ins.facebook.world import Fault, Page, World, make_page

#: Organization -> the names of its pages, some with a fault.
_PAGES: dict[str, dict[str, Fault | None]] = {
    "northwind-bakery": {
        "Northwind Bakery": None,
        "Northwind Bakery Old Town": None,
        "Northwind Bakery Station": Fault("token_revoked"),
        "Northwind Catering": None,
        "Northwind Baking School": None,
        "Northwind Coffee Bar": None,
    },
    "harbour-books": {
        "Harbour Books": None,
        "Harbour Books for Kids": Fault("permission_missing"),
        "Harbour Books Events": None,
        "Harbour Reading Circle": None,
        "Harbour Antiquarian": Fault("object_gone"),
        "Harbour Paper & Pens": None,
    },
    "riverside-museum": {
        "Riverside Museum": None,
        "Riverside Museum Shop": None,
        "Riverside Summer Concerts": None,
        "Riverside Young Explorers": None,
        "Riverside Photo Archive": Fault("not_published"),
        # Too small for insights.
        "Friends of Riverside Museum": None,
    },
    "lakeside-sports": {
        "Lakeside Rowing Club": Fault("down", times=2),
        "Lakeside Diving Club": None,
        "Lakeside Sailing School": None,
        "Lakeside Tennis": None,
        "Lakeside Running": None,
        "Lakeside Clubhouse Café": None,
    },
}
_TOO_SMALL = "Friends of Riverside Museum"


def demo_world() -> World:
    """24 pages: each of the demo's organizations has six."""
    named = enumerate(((name, fault) for pages in _PAGES.values() for name, fault in pages.items()), 1)
    pages = [
        (make_page(number, name=name, likes=40 if name == _TOO_SMALL else 5000), fault)
        for number, (name, fault) in named
    ]
    world = World(page for page, _ in pages)
    for page, fault in pages:
        if fault:
            world.faults.set(page.id, fault)
    return world


def demo() -> Demo:
    """The pages and their stand-in."""
    world = demo_world()
    organizations = [organization for organization, pages in _PAGES.items() for _ in pages]
    return Demo(
        GraphApi(world),
        tuple(
            DemoAccount(
                organization,
                page.id,
                page.name,
                page.identifier,
                page.token,
                posts=_made_in_postiz(world, page),
            )
            for organization, page in zip(organizations, world.pages.values(), strict=True)
        ),
    )


def _made_in_postiz(world: World, page: Page) -> tuple[str, ...]:
    """Every second post of the last four weeks."""
    today = world.now().date()
    return tuple(post.release_id for post in world.posts(page.id, today - timedelta(days=28), today)[::2])
