"""Unread counts and last messages are kept, not looked for; here a long random history is gone through anew after
every step.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import Conflict
from gateway.records import Message
from gateway.store.ports import RosterChange

from .conftest import Clock, Home, OpenStore

PEOPLE = ("ann", "bob", "cid", "dan")

people = st.sampled_from(PEOPLE)
number = st.integers(min_value=0, max_value=1_000)
steps = st.one_of(
    st.tuples(st.just("say"), people),
    st.tuples(st.just("say"), people),
    st.tuples(st.just("read"), people, st.none() | number),
    st.tuples(st.just("clear"), people),
    st.tuples(st.just("delete"), number, st.booleans()),
    st.tuples(st.just("edit"), number),
    st.tuples(st.just("react"), people, number),
    st.tuples(st.just("pin"), people, number, st.booleans()),
    st.tuples(st.just("forward"), people, number),
    st.tuples(st.just("deliver"), people, st.none() | number),
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
        previews: of each message, by its id; None for the hidden ones.
        pins: ids, newest pin first.
    """

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []  # (id, sender)
        self.deleted: set[str] = set()
        self.past = {"ann": 0, "bob": 0}
        self.cleared: dict[str, int] = {}
        self.previews: dict[str, str | None] = {}
        self.server_made: set[str] = set()
        self.reactions: dict[str, list[str]] = {}
        self.pins: list[str] = []

    def told(self, change: RosterChange) -> None:
        """The server has said something itself."""
        message = msgspec.json.decode(change.events[1].payload)
        self.messages.append((message["id"], message["senderId"]))
        self.previews[message["id"]] = message["previewText"]
        self.server_made.add(message["id"])

    def say(self, message: Message) -> None:
        self.messages.append((message.id, message.sender_id))
        self.previews[message.id] = message.preview_text

    def kept(self, which: int, user_id: str) -> str | None:
        """The id of a message that is not deleted and that this user can see, out of all."""
        message_id = self.messages[which % len(self.messages)][0] if self.messages else None
        seen = user_id in self.past and message_id in self.visible(user_id)
        return message_id if seen and message_id not in self.deleted else None

    def last(self, user_id: str) -> str | None:
        """What his list shows."""
        shown = [message_id for message_id, _ in self.messages if self.previews[message_id] is not None]
        return self.previews[shown[-1]] if shown and shown[-1] in self.visible(user_id) else None

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
            model.say(await home.say(room_id, user_id, f"at {home.clock.ms}"))
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
            if message_id not in model.deleted:
                model.previews[message_id] = None if hidden else "gone"
            model.deleted.add(message_id)
            model.reactions.pop(message_id, None)
            model.pins = [pin for pin in model.pins if pin != message_id]
        case "edit", which if model.messages and (
            message_id := model.messages[which % len(model.messages)][0]
        ):
            edit = home.edit(room_id, message_id, f"edited at {home.clock.ms}")
            if message_id in model.deleted:
                with pytest.raises(Conflict):
                    await store.edit_message(edit)
            else:
                model.previews[message_id] = (await store.edit_message(edit)).message.preview_text
                model.server_made.discard(message_id)
        case "react", user_id, which if message_id := model.kept(which, user_id):
            await store.toggle_reaction(tenant_id, room_id, message_id, user_id=user_id, emoji="x")
            reactions = model.reactions.setdefault(message_id, [])
            (reactions.remove if user_id in reactions else reactions.append)(user_id)
        case "pin", user_id, which, wanted if message_id := model.kept(which, user_id):
            change = store.pin_message if wanted else store.unpin_message
            await change(tenant_id, room_id, message_id, user_id=user_id)
            if wanted and message_id not in model.pins:
                model.pins.insert(0, message_id)
            elif not wanted:
                model.pins = [pin for pin in model.pins if pin != message_id]
        case "forward", user_id, which if message_id := model.kept(which, user_id):
            if message_id not in model.server_made:
                forwarded = await store.forward_message(home.copy(room_id, message_id, user_id, room_id))
                model.say(forwarded.sent[0].message)
        case "deliver", user_id, which_or_none if user_id in model.past and model.messages:
            index = len(model.messages) - 1 if which_or_none is None else which_or_none % len(model.messages)
            await store.mark_delivered(tenant_id, room_id, user_id, message_id=model.messages[index][0])
        case "join", user_id if user_id not in model.past:
            model.past[user_id] = len(model.messages)
            model.told(await home.add(room_id, user_id))
        case "leave", user_id if user_id in model.past:
            model.told(await home.remove(room_id, user_id, actor_id=user_id))
            del model.past[user_id]
        case "remove", user_id, actor_id if user_id in model.past:
            model.told(await home.remove(room_id, user_id, actor_id=actor_id, by_server=True))
            del model.past[user_id]
        case "forget", user_id if user_id in model.past:
            model.cleared[user_id] = len(model.messages)
            model.past[user_id] = len(model.messages)
            if (change_or_none := await store.delete_room_for(tenant_id, room_id, user_id)) is not None:
                model.told(change_or_none)
                del model.past[user_id]
        case _:
            pass


async def check(home: Home, room_id: str, model: Model) -> None:
    page = await home.store.messages_page(home.tenant_id, room_id, viewer_id=None, limit=1_000)
    rows = page.messages[::-1]
    assert [(row.id, row.sender_id) for row in rows] == model.messages
    assert {row.id for row in rows if row.deleted_at is not None} == model.deleted
    assert {row.id: row.preview_text for row in rows} == model.previews
    reactions = {row.id: [one.user_id for one in row.reactions] for row in rows if row.reactions}
    assert reactions == {message_id: users for message_id, users in model.reactions.items() if users}
    pins = await home.store.pinned_messages(home.tenant_id, room_id, viewer_id=None)
    assert [message.id for message in pins.messages] == model.pins
    for user_id in PEOPLE:
        room = await home.store.room(home.tenant_id, room_id, viewer_id=user_id)
        if user_id not in model.past:
            assert room is None
            continue
        assert room is not None
        assert room.unread_count == model.unread(user_id)
        shown = room.last_message
        assert (None if shown is None else shown.preview_text) == model.last(user_id)
        seen = await home.store.messages_page(home.tenant_id, room_id, viewer_id=user_id, limit=1_000)
        assert [message.id for message in seen.messages] == model.visible(user_id)
        listed = await home.listed(room_id, user_id)
        assert listed is None or listed.unread_count == room.unread_count
        assert listed is not None or room.unread_count == 0  # hidden, and nothing new in it


# The fixture is made once per test, not per example: each history opens a store of its own.
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(steps, min_size=60, max_size=120))
def test_what_is_kept_equals_a_recount_after_every_step(
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
