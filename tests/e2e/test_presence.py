"""Who of the tenant has a live socket (contract 4.6), each test in a tenant of its own."""

from __future__ import annotations

from tests.e2e.conftest import Opener
from tests.support.platform import Platform


def test_the_snapshot_follows_the_connect_and_includes_the_user_who_connects(
    lone_platform: Platform, device: Opener
) -> None:
    ann, bob = lone_platform.person("ann"), lone_platform.person("bob")

    of_ann = device(ann)
    assert of_ann.inbox.take("tenant-presence-snapshot") == {"onlineUserIds": [ann.id]}

    of_bob = device(bob)
    snapshot = of_bob.inbox.take("tenant-presence-snapshot")["onlineUserIds"]
    assert sorted(snapshot) == sorted([ann.id, bob.id])
    of_ann.inbox.take("tenant-presence", userId=bob.id, online=True)


def test_a_user_goes_offline_with_the_last_device_only(lone_platform: Platform, device: Opener) -> None:
    ann, bob, cat = (lone_platform.person(name) for name in ("ann", "bob", "cat"))
    of_bob = device(bob)
    phone, laptop, of_cat = device(ann), device(ann), device(cat)
    of_bob.inbox.take("tenant-presence", userId=ann.id, online=True)

    phone.close()
    of_cat.close()
    # Cat left after Ann's phone: had the phone taken Ann offline, that would have been told first.
    of_bob.inbox.take("tenant-presence", userId=cat.id, online=False)
    assert not of_bob.inbox.seen("tenant-presence", userId=ann.id, online=False)

    laptop.close()
    of_bob.inbox.take("tenant-presence", userId=ann.id, online=False)
    assert len(of_bob.inbox.seen("tenant-presence", userId=ann.id, online=True)) == 1


def test_coming_back_within_the_grace_shows_nobody_that_one_was_away(
    lone_platform: Platform, device: Opener
) -> None:
    ann, bob, cat = (lone_platform.person(name) for name in ("ann", "bob", "cat"))
    of_bob, of_cat, before = device(bob), device(cat), device(ann)
    of_bob.inbox.take("tenant-presence", userId=ann.id, online=True)

    before.close()  # as the published client does at a token refresh: the old socket first, then the new one
    after = device(lone_platform.again(ann.id))
    assert ann.id in after.inbox.take("tenant-presence-snapshot")["onlineUserIds"]

    of_cat.close()
    of_bob.inbox.take("tenant-presence", userId=cat.id, online=False)
    assert of_bob.inbox.seen("tenant-presence", userId=ann.id) == [{"userId": ann.id, "online": True}]


def test_presence_does_not_cross_tenants(lone_platform: Platform, platform: Platform, device: Opener) -> None:
    ann, bob = lone_platform.person("ann"), lone_platform.person("bob")
    of_ann = device(ann)

    stranger = platform.person("stranger")
    device(stranger)
    device(bob)

    of_ann.inbox.take("tenant-presence", userId=bob.id, online=True)
    assert not of_ann.inbox.seen("tenant-presence", userId=stranger.id)
