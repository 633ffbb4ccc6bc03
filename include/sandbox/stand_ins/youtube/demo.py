"""The demo's YouTube channels: most are healthy, some have common faults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from include.sandbox.stand_ins.base import Demo, DemoAccount
from include.sandbox.stand_ins.youtube.google_apis import GoogleApis
from include.sandbox.stand_ins.youtube.world import Channel, Fault, World, make_channel

#: Organization -> the names of its channels, some with a fault.
_CHANNELS: Mapping[str, Mapping[str, Fault | None]] = {
    "northwind-bakery": {"Northwind Bakery": None, "Northwind Baking School": Fault("token_revoked")},
    "harbour-books": {"Harbour Books": None, "Harbour Reading Circle": Fault("permission_missing")},
    "riverside-museum": {"Riverside Museum": None, "Riverside Guided Tours": Fault("not_published")},
    "lakeside-sports": {"Lakeside Sports Club": None, "Lakeside Rowing Club": Fault("uploads_refused")},
}
#: Reconnected in Postiz, which has no refresh token of it any more.
_RECONNECTED = ("harbour-books", "Harbour Author Talks")


def demo() -> Demo:
    """Nine channels of the demo's organizations, and their stand-in."""
    named = [(org, name, fault) for org, channels in _CHANNELS.items() for name, fault in channels.items()]
    named.append((*_RECONNECTED, None))
    channels = [make_channel(number, name=name) for number, (_, name, _) in enumerate(named, 1)]
    world = World(channels)
    for channel, (_, _, fault) in zip(channels, named, strict=True):
        if fault:
            world.faults.set(channel.id, fault)
    return Demo(
        GoogleApis(world),
        tuple(
            DemoAccount(
                organization,
                channel.id,
                channel.name,
                channel.identifier,
                channel.token,
                posts=_made_in_postiz(world, channel),
                columns={"refreshToken": "" if name == _RECONNECTED[1] else channel.refresh_token},
            )
            for channel, (organization, name, _) in zip(channels, named, strict=True)
        ),
    )


def _made_in_postiz(world: World, channel: Channel) -> tuple[str, ...]:
    """Every second video of the last four weeks."""
    return tuple(
        video.id for video in world.videos(channel.id, world.today - timedelta(days=28), world.today)[::2]
    )
