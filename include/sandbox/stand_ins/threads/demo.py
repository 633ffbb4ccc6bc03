"""The demo's Threads profiles: most are healthy, some have common faults."""

from __future__ import annotations

from datetime import timedelta

from include.sandbox.stand_ins.base import Demo, DemoAccount
from include.sandbox.stand_ins.threads.threads_api import ThreadsApi
from include.sandbox.stand_ins.threads.world import PACIFIC, Fault, Profile, World, make_profile

#: Organization -> the names of its profiles, some with a fault.
_PROFILES: dict[str, dict[str, Fault | None]] = {
    "northwind-bakery": {
        "Northwind Bakery": None,
        "Northwind Coffee Bar": Fault("token_expired"),
        "Northwind Baking School": None,
    },
    "harbour-books": {
        "Harbour Books": None,
        "Harbour Reading Circle": Fault("permission_missing"),
        "Harbour Books Events": None,
    },
    "riverside-museum": {
        "Riverside Museum": None,
        "Riverside Photo Archive": Fault("not_published"),
        "Riverside Young Explorers": Fault("no_insights"),
    },
    "lakeside-sports": {
        "Lakeside Rowing Club": None,
        "Lakeside Tennis": Fault("posts_refused"),
        "Lakeside Running": None,
    },
}


def demo() -> Demo:
    """Twelve profiles, three of each of the demo's organizations, and their stand-in."""
    named = [(org, name, fault) for org, profiles in _PROFILES.items() for name, fault in profiles.items()]
    profiles = [make_profile(number, name=name) for number, (_, name, _) in enumerate(named, 1)]
    world = World(profiles)
    for profile, (_, _, fault) in zip(profiles, named, strict=True):
        if fault:
            world.faults.set(profile.id, fault)
    return Demo(
        ThreadsApi(world),
        tuple(
            DemoAccount(
                organization,
                profile.id,
                profile.name,
                profile.identifier,
                profile.token,
                posts=_made_in_postiz(world, profile),
            )
            for profile, (organization, _, _) in zip(profiles, named, strict=True)
        ),
    )


def _made_in_postiz(world: World, profile: Profile) -> tuple[str, ...]:
    """Every second post of the last four weeks."""
    today = world.now().astimezone(PACIFIC).date()
    return tuple(post.id for post in world.posts(profile.id, today - timedelta(days=28), today)[::2])
