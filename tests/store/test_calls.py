"""Calls in the database keep the contract of every store of calls; and what only a database has: rooms, a log, keys."""

from __future__ import annotations

import msgspec
import pytest

from gateway.records import LogEvent
from gateway.store.ports import Once, Replayed
from signaling.call import Status
from signaling.events import Notice
from signaling.ports import CallStore, Changed
from signaling.transitions import Action
from tests.signaling.store_contract import CallStoreContract, Stage, Talk, does, nobody, starts
from tests.store.conftest import Home


class HomeStage:
    def __init__(self, home: Home) -> None:
        self.home = home
        self.tenant_id = home.tenant_id

    @property
    def store(self) -> CallStore:
        return self.home.store

    async def room(self, *user_ids: str) -> str:
        return (await self.home.room(*user_ids)).id

    async def leave(self, room_id: str, user_id: str) -> None:
        await self.home.remove(room_id, user_id)

    async def log_of(self, room_id: str) -> list[str]:
        page = await self.home.store.messages_page(self.tenant_id, room_id, viewer_id=None)
        parts = [part for message in page.messages[::-1] for part in msgspec.json.decode(message.parts)]
        return [part["data"]["outcome"] for part in parts if part["type"] == "data-call"]


@pytest.fixture
def stage(home: Home) -> Stage:
    return HomeStage(home)


@pytest.fixture
def talk(stage: Stage) -> Talk:
    return Talk(stage)


class TestSqlCalls(CallStoreContract):
    pass


async def test_the_call_log_is_a_message_of_the_creator_that_others_have_not_read(
    home: Home, talk: Talk
) -> None:
    room_id = (await home.room("ann", "bob")).id
    call = await talk.start(room_id, "ann")
    await talk.change(room_id, call.id, does("", Action.RING_TIMEOUT, now=call.created_at + 30_000))
    assert await home.texts(room_id, "bob") == ["Missed voice call"]
    assert (await home.unread(room_id, "ann"), await home.unread(room_id, "bob")) == (0, 1)
    (message,) = (await home.store.messages_page(home.tenant_id, room_id, viewer_id="bob")).messages
    assert message.sender_id == "ann"
    assert msgspec.json.decode(message.parts) == [
        {
            "type": "data-call",
            "data": {
                "callId": call.id,
                "callType": "audio",
                "outcome": "missed",
                "initiatedByUserId": "ann",
                "isGroup": False,
                "durationSeconds": None,
            },
        }
    ]


async def test_the_creator_s_log_is_there_even_when_he_has_left_the_room(home: Home, talk: Talk) -> None:
    room_id = (await home.room("ann", "bob", "cid")).id
    call = await talk.start(room_id, "ann")
    await home.remove(room_id, "ann")
    changed = await talk.change(room_id, call.id, does("ann", Action.REMOVED))
    assert changed.call.status is Status.CANCELLED
    assert (await home.texts(room_id, "bob"))[0] == "Call cancelled"


async def test_what_everybody_is_told_is_numbered_in_the_order_of_telling(home: Home, talk: Talk) -> None:
    room_id = (await home.room("ann", "bob")).id
    head = (await home.store.log_heads([home.tenant_id])).get(home.tenant_id, 0)
    call = await talk.start(room_id, "ann")
    changed = await talk.change(room_id, call.id, does("bob", Action.ACCEPT, device="bob-phone"))
    accepted, elsewhere = changed.told
    assert isinstance(accepted, LogEvent)
    # To some devices of a user: for those that are there now, and for no later reading.
    assert isinstance(elsewhere, Notice)
    assert elsewhere.but_device == "bob-phone"
    await talk.change(room_id, call.id, does("ann", Action.END))
    events = await home.store.events_after(home.tenant_id, head, limit=10)
    assert [(event.event, event.user_ids) for event in events] == [
        ("call-invite", ("bob",)),
        ("call-accepted", ("ann", "bob")),
        ("call-ended", ("ann", "bob")),
        ("new-message", ("ann", "bob")),
    ]
    assert [event.number for event in events] == list(range(head + 1, head + 5))


async def test_a_repeated_request_gets_its_first_answer_and_moves_nothing(home: Home, talk: Talk) -> None:
    room_id = (await home.room("ann", "bob")).id
    once = Once[Changed](
        tenant_id=home.tenant_id,
        credential="user:ann",
        key="k",
        fingerprint=b"f",
        answer=lambda changed: (201, changed.call.id.encode()),
    )
    step = starts(home.tenant_id, room_id, "ann")
    first = await home.store.change_call(home.tenant_id, room_id, None, step, then=nobody, once=once)
    await talk.change(room_id, first.call.id, does("ann", Action.LEAVE))
    with pytest.raises(Replayed) as replayed:
        await home.store.change_call(home.tenant_id, room_id, None, step, then=nobody, once=once)
    assert (replayed.value.status, replayed.value.body) == (201, first.call.id.encode())
    assert (await home.store.room_and_call(home.tenant_id, room_id))[0] is None
