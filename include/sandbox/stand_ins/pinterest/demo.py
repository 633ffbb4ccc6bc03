"""The demo's Pinterest accounts: some are healthy, the others have one common fault each."""

from __future__ import annotations

from datetime import timedelta

from include.sandbox.stand_ins.base import Demo, DemoAccount
from include.sandbox.stand_ins.pinterest.pinterest_api import PinterestApi
from include.sandbox.stand_ins.pinterest.world import Account, Fault, World, make_account

#: Organization -> the names of its accounts, some with a fault.
_ACCOUNTS: dict[str, dict[str, Fault | None]] = {
    "northwind-bakery": {
        "Northwind Bakery": None,
        "Northwind Cakes": Fault("token_expired"),
    },
    "harbour-books": {
        "Harbour Books": None,
        "Harbour Book Club": Fault("personal"),
    },
    "riverside-museum": {
        "Riverside Museum": Fault("pins_refused"),
        "Riverside Prints": Fault("processing"),
    },
    "lakeside-sports": {
        "Lakeside Rowing Club": None,
        "Lakeside Kit Shop": Fault("no_business_yet"),
    },
}


def demo() -> Demo:
    """Eight accounts, two of each of the demo's organizations, and their stand-in."""
    named = [(org, name, fault) for org, accounts in _ACCOUNTS.items() for name, fault in accounts.items()]
    accounts = [make_account(number, name=name) for number, (_, name, _) in enumerate(named, 1)]
    world = World(accounts)
    for account, (_, _, fault) in zip(accounts, named, strict=True):
        if fault:
            world.faults.set(account.id, fault)
    return Demo(
        PinterestApi(world),
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


def _made_in_postiz(world: World, account: Account) -> tuple[str, ...]:
    """Every second pin of the last four weeks."""
    first = world.today - timedelta(days=28)
    return tuple(pin.id for pin in world.pins(account.id, first, world.today)[::2])
