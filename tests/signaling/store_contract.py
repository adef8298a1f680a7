"""What every store of calls must do. A module per store says how its rooms are made, and takes these tests as they are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec
import pytest
import trio
import uuid_utils

from signaling import errors
from signaling.call import Call, Standing, Status
from signaling.errors import CallError, NotThere
from signaling.ports import CallStore, Change, Changed, Room, Step, Stray
from signaling.steps import decided
from signaling.transitions import Action, Ask, advance, ring

NOW = 1_800_000_000_000


class Stage(Protocol):
    """A store of calls with one tenant, and rooms in it."""

    tenant_id: str

    @property
    def store(self) -> CallStore: ...

    async def room(self, *user_ids: str) -> str: ...
    async def leave(self, room_id: str, user_id: str) -> None: ...
    async def log_of(self, room_id: str) -> list[str]:
        """The outcomes of the call logs in the room, oldest first."""
        ...


def starts(tenant_id: str, room_id: str, creator_id: str, *, call_id: str = "", now: int = NOW) -> Step:
    call_id = call_id or str(uuid_utils.uuid7())

    def step(live: Call | None, room: Room) -> Change:
        if live is not None:
            ask = Ask(action=Action.START, now=now, user_id=creator_id)
            return decided(live, advance(live, ask), room)
        call = ring(
            call_id=call_id,
            tenant_id=tenant_id,
            room_id=room_id,
            type="audio",
            creator_id=creator_id,
            device="phone",
            user_ids=room.user_ids,
            max_participants=8,
            ring_s=30,
            now=now,
        )
        return decided(None, call, room)

    return step


def does(user_id: str, action: Action, *, now: int = NOW + 1_000, device: str | None = None) -> Step:
    def step(call: Call | None, room: Room) -> Change:
        if call is None:
            raise errors.no_such_call()
        ask = Ask(action=action, now=now, user_id=user_id, device=device)
        return decided(call, advance(call, ask), room)

    return step


def nobody(changed: Changed) -> None:
    """Nobody is to be told."""


class Talk:
    """Short ways of saying what happens on a stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.store = stage.store
        self.tenant_id = stage.tenant_id

    async def start(self, room_id: str, user_id: str, *, now: int = NOW) -> Call:
        return (await self.change(room_id, None, starts(self.tenant_id, room_id, user_id, now=now))).call

    async def change(self, room_id: str, call_id: str | None, step: Step) -> Changed:
        return await self.store.change_call(self.tenant_id, room_id, call_id, step, then=nobody)


class CallStoreContract:
    """Takes a fixture ``stage``."""

    @pytest.fixture
    def talk(self, stage: Stage) -> Talk:
        return Talk(stage)

    async def test_a_call_is_read_as_it_was_written(self, talk: Talk) -> None:
        room_id = await talk.stage.room("ann", "bob", "cid")
        call = await talk.start(room_id, "ann")
        assert await talk.store.call(call.id) == call
        changed = await talk.change(room_id, call.id, does("bob", Action.ACCEPT, device="bob-phone"))
        assert changed.call.status is Status.ACTIVE
        assert await talk.store.call(call.id) == changed.call
        changed = await talk.change(room_id, call.id, does("ann", Action.END, now=NOW + 61_000))
        assert await talk.store.call(call.id) == changed.call
        assert changed.call.end_reason == "ended"
        assert [party.standing for party in changed.call.parties] == [
            Standing.LEFT,
            Standing.LEFT,
            Standing.MISSED,
        ]

    async def test_a_room_has_one_live_call_whoever_starts_it(self, talk: Talk) -> None:
        room_id = await talk.stage.room("ann", "bob")
        found: list[Call] = []

        async def start(user_id: str) -> None:
            found.append(await talk.start(room_id, user_id))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(start, "ann")
            nursery.start_soon(start, "bob")
        one, other = found
        assert one.id == other.id
        assert [name for name in await talk.store.live_media_rooms() if room_id in name] == [one.media_room]
        live = await talk.store.call(one.id)
        assert live is not None
        assert live.status is Status.ACTIVE
        assert live.joined == {"ann", "bob"}
        assert (await talk.store.room_and_call(talk.tenant_id, room_id))[0] == live

    async def test_a_step_sees_the_room_and_who_talks_elsewhere(self, talk: Talk) -> None:
        room_id, other_id = await talk.stage.room("ann", "bob", "cid"), await talk.stage.room("cid", "dee")
        call = await talk.start(room_id, "ann")
        other = await talk.start(other_id, "dee")
        seen: list[Room] = []

        def look(call: Call | None, room: Room) -> Change:
            assert call is not None
            seen.append(room)
            return decided(call, call, room)

        await talk.change(room_id, call.id, look)
        await talk.change(other_id, other.id, does("cid", Action.ACCEPT, device="cid-phone"))
        await talk.change(room_id, call.id, look)
        assert seen[0].user_ids == ("ann", "bob", "cid")
        assert seen[0].members == {"ann", "bob", "cid"}
        assert seen[0].engaged == {}
        assert seen[-1].engaged == {"cid": "cid-phone"}
        await talk.change(other_id, other.id, does("cid", Action.LEAVE))
        await talk.change(room_id, call.id, look)
        assert seen[-1].engaged == {}

    async def test_a_refusal_writes_nothing(self, talk: Talk) -> None:
        room_id = await talk.stage.room("ann", "bob")
        call = await talk.start(room_id, "ann")
        with pytest.raises(CallError) as refused:
            await talk.change(room_id, call.id, does("ann", Action.ACCEPT))
        assert refused.value.code == "own_call"
        assert await talk.store.call(call.id) == call

    async def test_what_follows_is_called_once_even_when_nothing_changed(self, talk: Talk) -> None:
        room_id = await talk.stage.room("ann", "bob")
        then: list[Changed] = []
        step = starts(talk.tenant_id, room_id, "ann")
        for _ in range(2):
            await talk.store.change_call(talk.tenant_id, room_id, None, step, then=then.append)
        assert [len(changed.told) for changed in then] == [1, 0]
        assert then[0].call == then[1].call

    async def test_a_foreign_or_unknown_room_is_not_there(self, talk: Talk) -> None:
        room_id = await talk.stage.room("ann", "bob")
        for tenant_id, room in ((talk.tenant_id, "no-room"), ("no-tenant", room_id)):
            with pytest.raises(NotThere):
                await talk.store.room_and_call(tenant_id, room)
            with pytest.raises(NotThere):
                await talk.store.change_call(
                    tenant_id, room, None, starts(tenant_id, room, "ann"), then=nobody
                )
            with pytest.raises(NotThere):
                await talk.store.calls_page(tenant_id, room, viewer_id=None, limit=1, cursor=None)

    async def test_a_call_is_found_in_its_own_room_only(self, talk: Talk) -> None:
        room_id, other_id = await talk.stage.room("ann", "bob"), await talk.stage.room("ann", "bob")
        call = await talk.start(room_id, "ann")
        assert (await talk.store.room_and_call(talk.tenant_id, other_id, call.id))[0] is None
        assert (await talk.store.room_and_call(talk.tenant_id, room_id, call.id))[0] == call

    async def test_it_rings_for_those_who_are_called_until_they_have_answered(self, talk: Talk) -> None:
        room_id = await talk.stage.room("ann", "bob", "cid")
        call = await talk.start(room_id, "ann")

        async def ringing() -> Collection[str]:
            users = ("ann", "bob", "cid")
            found = {user: await talk.store.calls_ringing_for(talk.tenant_id, user) for user in users}
            return {user for user, calls in found.items() if [one.id for one in calls] == [call.id]}

        assert await ringing() == {"bob", "cid"}
        await talk.change(room_id, call.id, does("bob", Action.ACCEPT))
        assert await ringing() == {"cid"}
        await talk.change(room_id, call.id, does("ann", Action.END))
        assert await ringing() == set()
        assert await talk.store.calls_ringing_for("no-tenant", "cid") == []

    async def test_rings_are_due_in_order_and_until_nobody_is_rung(self, talk: Talk) -> None:
        rooms = [await talk.stage.room("ann", "bob") for _ in range(3)]
        calls = [
            await talk.start(room_id, "ann", now=NOW + late)
            for room_id, late in zip(rooms, (2_000, 0, 1_000), strict=True)
        ]

        async def due(after_ms: int, limit: int = 10) -> list[str]:
            return [call.id for call in await talk.store.due_calls(NOW + after_ms, limit=limit)]

        assert await due(29_999) == []
        assert await due(30_000) == [calls[1].id]
        assert await due(99_000) == [calls[1].id, calls[2].id, calls[0].id]
        assert await due(99_000, limit=2) == [calls[1].id, calls[2].id]
        await talk.change(rooms[1], calls[1].id, does("bob", Action.ACCEPT))
        await talk.change(rooms[2], calls[2].id, does("", Action.RING_TIMEOUT, now=NOW + 99_000))
        assert await due(99_000) == [calls[0].id]

    async def test_who_has_left_the_room_is_a_stray_until_he_is_out_of_its_call(self, talk: Talk) -> None:
        room_id, other_id = await talk.stage.room("ann", "bob", "cid"), await talk.stage.room("ann", "bob")
        call = await talk.start(room_id, "ann")
        await talk.start(other_id, "ann")
        await talk.stage.leave(room_id, "cid")
        stray = Stray(talk.tenant_id, room_id, call.id, "cid")
        assert await talk.store.call_strays(limit=10) == [stray]
        assert await talk.store.call_strays(room_id=room_id, limit=10) == [stray]
        assert await talk.store.call_strays(room_id=other_id, limit=10) == []
        await talk.change(room_id, call.id, does("cid", Action.REMOVED))
        assert await talk.store.call_strays(limit=10) == []

    async def test_calls_are_listed_newest_first_in_pages(self, talk: Talk) -> None:
        room_id = await talk.stage.room("ann", "bob")
        started = []
        for number in range(5):
            call = await talk.start(room_id, "ann", now=NOW + number * 10_000)
            started.append(call.id)
            await talk.change(room_id, call.id, does("ann", Action.LEAVE, now=NOW + number * 10_000 + 1))
        pages, cursor = [], None
        while True:
            page, cursor = await talk.store.calls_page(
                talk.tenant_id, room_id, viewer_id="bob", limit=2, cursor=cursor
            )
            pages.append([call.id for call in page])
            if cursor is None:
                break
        newest = started[::-1]
        assert pages == [newest[:2], newest[2:4], newest[4:]]
        with pytest.raises(NotThere):
            await talk.store.calls_page(talk.tenant_id, room_id, viewer_id="stranger", limit=2, cursor=None)

    async def test_a_call_that_ends_leaves_one_log_in_its_room(self, talk: Talk) -> None:
        room_id = await talk.stage.room("ann", "bob")
        call = await talk.start(room_id, "ann")
        assert await talk.stage.log_of(room_id) == []
        changed = await talk.change(room_id, call.id, does("bob", Action.DECLINE))
        assert len(changed.told) == len(changed.change.notices) + 1
        for user_id in ("ann", "bob"):
            await talk.change(room_id, call.id, does(user_id, Action.LEAVE))
        assert await talk.stage.log_of(room_id) == ["declined"]

    async def test_a_room_of_hundreds_rings_and_falls_silent(self, talk: Talk) -> None:
        users = [f"u{number:03}" for number in range(300)]
        room_id = await talk.stage.room("ann", *users)
        call = await talk.start(room_id, "ann")
        assert call.called == set(users)
        assert await talk.store.call(call.id) == call
        over = (await talk.change(room_id, call.id, does("ann", Action.LEAVE))).call
        assert await talk.store.call(call.id) == over
        assert msgspec.structs.replace(over, parties=()) != msgspec.structs.replace(call, parties=())
        assert {party.standing for party in over.parties} == {Standing.LEFT, Standing.MISSED}
