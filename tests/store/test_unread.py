"""Unread counts are kept, not counted; here a long random history is counted anew after every step."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.records import Message

from .conftest import STORES, Clock, Home, OpenStore

PEOPLE = ("ann", "bob", "cid", "dan")

people = st.sampled_from(PEOPLE)
number = st.integers(min_value=0, max_value=1_000)
steps = st.one_of(
    st.tuples(st.just("say"), people),
    st.tuples(st.just("say"), people),
    st.tuples(st.just("read"), people, st.none() | number),
    st.tuples(st.just("clear"), people),
    st.tuples(st.just("delete"), number, st.booleans()),
    st.tuples(st.just("join"), people),
    st.tuples(st.just("leave"), people),
    st.tuples(st.just("remove"), people, people),
    st.tuples(st.just("forget"), people),
)


class Model:
    """What happened in the room, told plainly: messages in order, and how far each participant is past them.

    Attributes:
        past: user id to the number of messages, from the first on, that are not news to him.
        cleared: the same for messages that are gone for him; outlives leaving.
    """

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []  # (id, sender)
        self.deleted: set[str] = set()
        self.past = {"ann": 0, "bob": 0}
        self.cleared: dict[str, int] = {}

    def told(self, message: Message | None) -> None:
        """The server has said something itself."""
        assert message is not None
        self.messages.append((message.id, message.sender_id))

    def unread(self, user_id: str) -> int:
        return sum(
            sender_id != user_id and message_id not in self.deleted
            for message_id, sender_id in self.messages[self.past[user_id] :]
        )

    def visible(self, user_id: str) -> list[str]:
        return [message_id for message_id, _ in self.messages[self.cleared.get(user_id, 0) :]][::-1]


async def take(home: Home, room_id: str, model: Model, step: tuple[Any, ...]) -> None:
    """Do one step in the store and in the model; a step that makes no sense now is left out."""
    store, tenant_id = home.store, home.tenant_id
    home.clock.ms += 1_000
    match step:
        case "say", user_id if user_id in model.past:
            message = await home.say(room_id, user_id)
            model.messages.append((message.id, user_id))
        case "read", user_id, None if user_id in model.past:
            await store.mark_read(tenant_id, room_id, user_id, message_id=None)
            model.past[user_id] = len(model.messages)
        case "read", user_id, which if user_id in model.past and model.messages:
            index = which % len(model.messages)
            marked = await store.mark_read(tenant_id, room_id, user_id, message_id=model.messages[index][0])
            model.past[user_id] = max(model.past[user_id], index + 1)
            assert marked.mark.unread_count == model.unread(user_id)
        case "clear", user_id if user_id in model.past:
            await store.clear_history(tenant_id, room_id, user_id)
            model.past[user_id] = model.cleared[user_id] = len(model.messages)
        case "delete", which, hidden if model.messages:
            message_id = model.messages[which % len(model.messages)][0]
            await store.delete_message(
                tenant_id, room_id, message_id, actor_id=None, placeholder=None if hidden else "gone"
            )
            model.deleted.add(message_id)
        case "join", user_id if user_id not in model.past:
            model.past[user_id] = len(model.messages)
            model.told((await home.add(room_id, user_id)).message)
        case "leave", user_id if user_id in model.past:
            model.told((await home.remove(room_id, user_id, actor_id=user_id)).message)
            del model.past[user_id]
        case "remove", user_id, actor_id if user_id in model.past:
            change = await home.remove(room_id, user_id, actor_id=actor_id, by_server=True)
            model.told(change.message)
            del model.past[user_id]
        case "forget", user_id if user_id in model.past:
            model.cleared[user_id] = len(model.messages)
            model.past[user_id] = len(model.messages)
            if (change_or_none := await store.delete_room_for(tenant_id, room_id, user_id)) is not None:
                model.told(change_or_none.message)
                del model.past[user_id]
        case _:
            pass


async def check(home: Home, room_id: str, model: Model) -> None:
    page = await home.store.messages_page(home.tenant_id, room_id, viewer_id=None, limit=1_000)
    rows = page.messages[::-1]
    assert [(row.id, row.sender_id) for row in rows] == model.messages
    assert {row.id for row in rows if row.deleted_at is not None} == model.deleted
    for user_id in PEOPLE:
        room = await home.store.room(home.tenant_id, room_id, viewer_id=user_id)
        if user_id not in model.past:
            assert room is None
            continue
        assert room is not None
        assert room.unread_count == model.unread(user_id)
        seen = await home.store.messages_page(home.tenant_id, room_id, viewer_id=user_id, limit=1_000)
        assert [message.id for message in seen.messages] == model.visible(user_id)
        listed = await home.listed(room_id, user_id)
        assert listed is None or listed.unread_count == room.unread_count
        assert listed is not None or room.unread_count == 0  # hidden, and nothing new in it


# A fixture is made once per test, not per example: each history opens a store of its own.
@pytest.mark.parametrize("open_any", STORES)
@settings(max_examples=25, deadline=None)
@given(history=st.lists(steps, min_size=60, max_size=120))
def test_unread_counts_equal_a_recount_after_every_step(
    open_any: OpenStore, history: list[tuple[Any, ...]]
) -> None:
    async def live(folder: Path) -> None:
        clock = Clock()
        async with open_any(folder, clock) as store:
            home = Home(store, clock, (await store.create_tenant("Home")).id)
            room = await home.room("ann", "bob", name="Team")
            model = Model()
            for step in history:
                await take(home, room.id, model, step)
                await check(home, room.id, model)

    with tempfile.TemporaryDirectory() as folder:
        trio.run(live, Path(folder))
