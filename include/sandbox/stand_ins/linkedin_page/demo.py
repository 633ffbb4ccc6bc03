"""The demo's LinkedIn pages: most are healthy, some have common faults."""

from __future__ import annotations

from datetime import timedelta

from include.sandbox.stand_ins.base import Demo, DemoAccount
from include.sandbox.stand_ins.linkedin_page.api import LinkedInApi
from include.sandbox.stand_ins.linkedin_page.world import Fault, Page, World, make_page

#: Organization -> the names of its pages, some with a fault.
_PAGES: dict[str, dict[str, Fault | None]] = {
    "northwind-bakery": {"Northwind Bakery": None, "Northwind Catering": Fault("refused", resource="posts")},
    "harbour-books": {"Harbour Books": None, "Harbour Paper & Pens": Fault("token_expired")},
    "riverside-museum": {"Riverside Museum": None, "Riverside Museum Shop": Fault("not_admin")},
    "lakeside-sports": {
        "Lakeside Sports Club": Fault("refused", resource="organizationalEntityFollowerStatistics")
    },
}


def demo() -> Demo:
    """Seven pages and their stand-in."""
    named = [(org, name, fault) for org, pages in _PAGES.items() for name, fault in pages.items()]
    pages = [make_page(number, name=name) for number, (_, name, _) in enumerate(named, 1)]
    world = World(pages)
    for page, (_, _, fault) in zip(pages, named, strict=True):
        if fault:
            world.faults.set(page.id, fault)
    return Demo(
        LinkedInApi(world),
        tuple(
            DemoAccount(
                organization,
                page.id,
                page.name,
                page.identifier,
                page.token,
                posts=_made_in_postiz(world, page),
            )
            for page, (organization, _, _) in zip(pages, named, strict=True)
        ),
    )


def _made_in_postiz(world: World, page: Page) -> tuple[str, ...]:
    """Every second post of the last four weeks."""
    posts = world.posts(page.id, world.today - timedelta(days=28), world.today)
    return tuple(post.urn for post in posts[::2])
