"""The demo's Instagram accounts: most are healthy, some have common faults."""

from __future__ import annotations

from datetime import timedelta

from include.sandbox.stand_ins.base import Demo, DemoAccount
from include.sandbox.stand_ins.instagram.api import InstagramApi
from include.sandbox.stand_ins.instagram.world import (
    STANDALONE,
    Fault,
    InstagramAccount,
    World,
    make_account,
)

#: Organization -> the names of its accounts, some with a fault.
_ACCOUNTS: dict[str, dict[str, Fault | None]] = {
    "northwind-bakery": {
        "northwind.bakery": None,
        "northwind.catering": Fault("checkpoint"),
        "northwind.coffee": None,
    },
    "harbour-books": {
        "harbour.books": None,
        "harbour.kids": Fault("permission_denied"),
        # Became a professional account lately.
        "harbour.reading": Fault("converted"),
    },
    "riverside-museum": {
        "riverside.museum": None,
        "riverside.shop": Fault("few_viewers"),
        "riverside.archive": Fault("not_published"),
    },
    "lakeside-sports": {
        "lakeside.rowing": None,
        "lakeside.sailing": Fault("retired_metric", metric="profile_views"),
        # Too small for follows.
        "lakeside.juniors": None,
    },
}
_TOO_SMALL = "lakeside.juniors"


def demo() -> Demo:
    """12 accounts, three in each of the demo's organizations; every third uses Instagram's own login."""
    named = [
        (organization, name, fault)
        for organization, accounts in _ACCOUNTS.items()
        for name, fault in accounts.items()
    ]
    accounts = [
        make_account(
            number,
            name=name,
            followers=60 if name == _TOO_SMALL else 5000,
            identifier="instagram" if number % 3 else STANDALONE,
        )
        for number, (_, name, _) in enumerate(named, 1)
    ]
    world = World(accounts)
    for account, (_, _, fault) in zip(accounts, named, strict=True):
        if fault:
            world.faults.set(account.id, fault)
    return Demo(
        InstagramApi(world),
        tuple(
            DemoAccount(
                organization,
                account.id,
                account.name,
                account.identifier,
                account.token,
                posts=_made_in_postiz(world, account),
            )
            for account, (organization, _, _) in zip(accounts, named, strict=True)
        ),
    )


def _made_in_postiz(world: World, account: InstagramAccount) -> tuple[str, ...]:
    """Every second medium of the last four weeks."""
    today = world.now().date()
    return tuple(one.id for one in world.media(account.id, today - timedelta(days=28), today)[::2])
