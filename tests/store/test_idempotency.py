from __future__ import annotations

from typing import Any

import pytest
import trio

from gateway.errors import Conflict, NotFound
from gateway.records import Sent
from gateway.store.ports import Once, Replayed

from .conftest import Home

DAY_MS = 24 * 60 * 60 * 1000


def once(home: Home, **changed: Any) -> Once[Sent]:
    return Once(
        **{
            "tenant_id": home.tenant_id,
            "credential": "user:ann",
            "key": "k1",
            "fingerprint": b"f1",
            "answer": lambda sent: (201, sent.message.id.encode()),
            **changed,
        }
    )


async def test_the_same_key_again_gets_the_first_answer_and_writes_nothing(home: Home) -> None:
    room = await home.room("ann", "bob")
    announced: list[Sent] = []
    draft = home.draft(room.id, "ann")
    first = await home.store.send_message(draft, then=announced.append, once=once(home))

    with pytest.raises(Replayed) as replayed:
        await home.store.send_message(draft, then=announced.append, once=once(home))

    assert (replayed.value.status, replayed.value.body) == (201, first.message.id.encode())
    assert announced == [first]
    assert await home.unread(room.id, "bob") == 1


async def test_the_same_key_twice_at_once_writes_once(home: Home) -> None:
    room = await home.room("ann", "bob")
    outcomes: list[str] = []

    async def send() -> None:
        try:
            await home.store.send_message(home.draft(room.id, "ann"), once=once(home))
            outcomes.append("sent")
        except Replayed:
            outcomes.append("replayed")

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(send)

    assert sorted(outcomes) == ["replayed"] * 4 + ["sent"]
    assert len(await home.texts(room.id, "bob")) == 1


async def test_the_same_key_for_another_request_is_a_conflict(home: Home) -> None:
    room = await home.room("ann")
    await home.store.send_message(home.draft(room.id, "ann"), once=once(home))

    with pytest.raises(Conflict):
        await home.store.send_message(home.draft(room.id, "ann"), once=once(home, fingerprint=b"f2"))


async def test_a_key_belongs_to_one_credential_of_one_tenant(home: Home) -> None:
    room = await home.room("ann")
    other = await home.store.create_tenant("Other")
    for mine in (once(home), once(home, credential="key"), once(home, tenant_id=other.id)):
        await home.store.send_message(home.draft(room.id, "ann"), once=mine)

    assert len(await home.texts(room.id, "ann")) == 3


async def test_a_write_that_was_refused_leaves_its_key_free(home: Home) -> None:
    room = await home.room("ann")
    with pytest.raises(NotFound):
        await home.store.send_message(home.draft("no-such-room", "ann"), once=once(home))

    await home.store.send_message(home.draft(room.id, "ann"), once=once(home))

    assert len(await home.texts(room.id, "ann")) == 1


async def test_a_key_is_forgotten_after_a_day(home: Home) -> None:
    room = await home.room("ann")
    await home.store.send_message(home.draft(room.id, "ann"), once=once(home))

    home.clock.ms += DAY_MS - 1
    with pytest.raises(Replayed):
        await home.store.send_message(home.draft(room.id, "ann"), once=once(home))
    home.clock.ms += 1
    await home.store.send_message(home.draft(room.id, "ann"), once=once(home))

    assert len(await home.texts(room.id, "ann")) == 2
