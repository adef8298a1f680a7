"""The log: what is told is written down with what it tells of, in one order, and found again by who missed it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import trio

from gateway.errors import NotFound
from gateway.records import LogEvent
from gateway.store import log
from gateway.store.connection import Cursor
from gateway.store.migrate import migrate
from gateway.store.operations.base import Operations
from gateway.store.sqlite.connection import connect

from .conftest import Home


async def everything(home: Home, after: int = 0) -> list[LogEvent]:
    return await home.store.events_after(home.tenant_id, after, limit=1_000)


async def missed(home: Home, user_id: str, after: int = 0, *, until: int | None = None) -> list[LogEvent]:
    if until is None:
        until = (await home.store.log_span(home.tenant_id)).head
    found = await home.store.missed_events(home.tenant_id, user_id, after=after, until=until, limit=1_000)
    assert found is not None
    return found


def names(events: list[LogEvent]) -> list[tuple[int, str]]:
    return [(event.number, event.event) for event in events]


async def tell(home: Home, *user_ids: str) -> LogEvent:
    """An event for these users alone."""
    store = cast(Operations, home.store)
    return await store._write(
        home.tenant_id,
        lambda db: log.append(db, home.tenant_id, "call-ended", b"{}", user_ids, room_id=None, now=1),
    )


def plans_of(path: Path, ask: Callable[[Cursor], object]) -> list[str]:
    """How SQLite goes about what ``ask`` reads."""
    migrate(path)
    db = connect(path)
    plans: list[str] = []

    class Planner:
        connection = db

        def execute(self, sql: str, values: Sequence[Any] = ()) -> Planner:
            plans.extend(row[3] for row in db.execute("EXPLAIN QUERY PLAN " + sql, values))
            return self

        def executemany(self, sql: str, values: Iterable[Sequence[Any]]) -> Planner:
            raise AssertionError("what is read is asked one statement at a time")

        def fetchall(self) -> list[Any]:
            return []

        def __iter__(self) -> Iterator[Any]:
            return iter([])

    ask(Planner())
    db.close()
    return plans


class TestWriting:
    async def test_every_kind_of_event_has_its_number_and_its_payload(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")

        sent = await home.send(room.id, "ann")
        edited = await home.store.edit_message(home.edit(room.id, sent.message.id, "after"))
        marked = await home.store.mark_read(home.tenant_id, room.id, "bob", message_id=None)
        joined = await home.add(room.id, "cid", actor_id="ann")
        copied = await home.store.forward_message(home.copy(room.id, sent.message.id, "ann", room.id))

        told = [sent.event, edited.event, marked.event, *joined.events, copied.sent[0].event]
        assert told == await everything(home)
        assert names(await everything(home)) == [
            (1, "new-message"),
            (2, "message-updated"),
            (3, "room-read"),
            (4, "room-participants-changed"),
            (5, "new-message"),
            (6, "new-message"),
        ]
        assert sent.event is not None
        assert sent.event.payload == msgspec.json.encode(sent.message)
        assert marked.event is not None
        assert msgspec.json.decode(marked.event.payload) == {
            "roomId": room.id,
            "userId": "bob",
            "lastReadAt": marked.mark.last_read_at,
            "lastReadMessageId": sent.message.id,
        }

    async def test_what_changes_nothing_tells_nothing(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")
        message = await home.say(room.id, "ann", client_message_id="one")
        await home.store.mark_read(home.tenant_id, room.id, "bob", message_id=None)

        assert (await home.send(room.id, "ann", client_message_id="one")).event is None
        again = await home.store.mark_read(home.tenant_id, room.id, "bob", message_id=None)
        assert again.event is None
        unpinned = await home.store.unpin_message(home.tenant_id, room.id, message.id, user_id="ann")
        assert unpinned.event is None
        assert (await home.add(room.id, "bob")).events == ()
        with pytest.raises(NotFound):
            await home.send(room.id, "eve")

        assert len(await everything(home)) == 2

    async def test_numbers_have_no_holes_however_many_write_at_once(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        told: list[int] = []

        async def write(sender_id: str) -> None:
            for number in range(20):
                await home.send(
                    room.id, sender_id, then=lambda sent: told.append(sent.event.number if sent.event else 0)
                )
                if number % 5 == 0:
                    with pytest.raises(NotFound):
                        await home.send(room.id, "eve")

        async with trio.open_nursery() as nursery:
            for sender_id in ("ann", "bob", "ann"):
                nursery.start_soon(write, sender_id)

        assert told == list(range(1, 61))
        assert [event.number for event in await everything(home)] == told

    async def test_tenants_have_logs_of_their_own(self, home: Home) -> None:
        other = Home(home.store, home.clock, (await home.store.create_tenant("Other")).id)
        for place in (home, other):
            await place.say((await place.room("ann", "bob")).id, "ann")

        heads = await home.store.log_heads([home.tenant_id, other.tenant_id, "nobody"])
        epochs = {(await everything(place))[0].epoch for place in (home, other)}

        assert heads == {home.tenant_id: 1, other.tenant_id: 1}
        assert await home.store.log_heads([]) == {}
        assert len(epochs) == 2
        assert len(await missed(home, "ann")) == 1

    async def test_a_new_log_is_empty(self, home: Home) -> None:
        span = await home.store.log_span(home.tenant_id)

        assert (span.floor, span.head) == (0, 0)
        assert len(span.epoch) == 8


class TestMissing:
    async def test_a_participant_misses_what_happened_in_his_rooms_in_order(self, home: Home) -> None:
        mine, other = await home.room("ann", "bob"), await home.room("ann", "cid")
        for _ in range(2):
            await home.say(mine.id, "ann")
            await home.say(other.id, "ann")

        assert [event.number for event in await missed(home, "bob")] == [1, 3]
        assert [event.number for event in await missed(home, "ann", 1)] == [2, 3, 4]
        assert [event.number for event in await missed(home, "ann", 1, until=3)] == [2, 3]
        assert await missed(home, "ann", 4) == []
        assert await missed(home, "eve") == []

    async def test_who_joined_misses_nothing_from_before(self, home: Home) -> None:
        room = await home.room("ann", name="Team")
        await home.say(room.id, "ann")

        await home.add(room.id, "bob")

        assert names(await missed(home, "bob")) == [(2, "room-participants-changed"), (3, "new-message")]

    async def test_who_was_removed_is_told_so_and_nothing_after(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")
        await home.say(room.id, "ann")
        await home.remove(room.id, "bob")
        await home.say(room.id, "ann")

        assert names(await missed(home, "bob")) == [(1, "new-message"), (2, "room-participants-changed")]
        assert [event.number for event in await missed(home, "ann")] == [1, 2, 3, 4]
        assert await missed(home, "bob", 2) == []

    async def test_who_came_back_misses_only_the_times_he_was_there(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")
        await home.say(room.id, "ann")  # 1
        await home.remove(room.id, "bob")  # 2, 3
        await home.say(room.id, "ann")  # 4
        await home.add(room.id, "bob")  # 5, 6
        await home.remove(room.id, "bob")  # 7, 8
        await home.add(room.id, "bob")  # 9, 10

        assert [event.number for event in await missed(home, "bob")] == [1, 2, 5, 6, 7, 9, 10]
        assert [event.number for event in await missed(home, "bob", 5, until=9)] == [6, 7, 9]

    async def test_an_event_for_some_is_for_nobody_else(self, home: Home) -> None:
        room = await home.room("ann", "bob", "cid")
        event = await tell(home, "ann", "cid")
        await home.say(room.id, "ann")

        assert event.user_ids == ("ann", "cid")
        assert [len(await missed(home, user_id)) for user_id in ("ann", "bob", "cid")] == [2, 1, 2]
        assert (await everything(home))[0] == event

    async def test_more_than_the_limit_is_not_read(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        for _ in range(3):
            await home.say(room.id, "ann")

        async def found(limit: int) -> int | None:
            events = await home.store.missed_events(home.tenant_id, "bob", after=0, until=3, limit=limit)
            return None if events is None else len(events)

        assert await found(3) == 3
        assert await found(2) is None

    @pytest.mark.parametrize("seed", range(5))
    async def test_everybody_finds_what_he_was_told(self, home: Home, seed: int) -> None:
        """After any history, the log says the same of everybody as the results of the writes did."""
        choose = random.Random(seed)
        people = ["ann", "bob", "cid", "dan"]
        rooms = [await home.room(*people[:count], name="Team") for count in (1, 2, 4)]
        told: list[LogEvent] = []
        for _ in range(120):
            room, person = choose.choice(rooms), choose.choice(people)
            action = choose.randrange(5)
            try:
                if action == 0:
                    told += (await home.add(room.id, person)).events
                elif action == 1:
                    told += (await home.remove(room.id, person)).events
                elif action == 2:
                    marked = await home.store.mark_read(home.tenant_id, room.id, person, message_id=None)
                    told += [marked.event] if marked.event else []
                elif action == 3:
                    told.append(await tell(home, person))
                else:
                    sent = await home.send(room.id, person)
                    told += [sent.event] if sent.event else []
            except NotFound:
                continue

        assert [event.number for event in told] == list(range(1, len(told) + 1))
        for since in (0, len(told) // 2, len(told) - 1):
            kept = await everything(home, since)
            assert [(e.number, e.payload, set(e.user_ids)) for e in kept] == [
                (e.number, e.payload, set(e.user_ids)) for e in told[since:]
            ]
            for person in people:
                assert [event.number for event in await missed(home, person, since)] == [
                    event.number for event in told[since:] if person in event.user_ids
                ]

    async def test_finding_it_costs_what_was_missed_and_not_what_the_tenant_said(
        self, tmp_path: Path
    ) -> None:
        """Every table is entered by an index, at the user's own rooms and the numbers he missed."""
        plans = plans_of(
            tmp_path / "gateway.db", lambda db: log.missed(db, "tenant", "ann", after=1, until=2, limit=10)
        )

        searches = [plan for plan in plans if plan.startswith(("SEARCH", "SCAN"))]
        assert {plan for plan in searches if not plan.startswith("SEARCH")} == {"SCAN told", "SCAN his"}
        followed = "SEARCH log USING PRIMARY KEY (tenant_id=? AND number=?)"
        assert searches.count(followed) == 2  # one for the chain, one for what is read in the end

    async def test_of_a_long_absence_no_more_is_looked_at_than_the_limit(self, tmp_path: Path) -> None:
        steps = 0

        def step() -> bool:
            nonlocal steps
            steps += 1
            return False

        migrate(tmp_path / "gateway.db")
        db = connect(tmp_path / "gateway.db")
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute(
            """
            INSERT INTO tenants (id, name, api_key_sha256, signing_secret, webhook_secret, created_at)
            VALUES ('tenant', 'Home', x'00', x'00', 'secret', 1);
            INSERT INTO rooms (id, tenant_id, is_frozen, created_at, activity_at, last_number)
            VALUES ('room', 'tenant', 0, 1, 1, 20000);
            INSERT INTO participants (room_id, user_id, tenant_id, role, position, joined_at)
            VALUES ('room', 'ann', 'tenant', 'MEMBER', 0, 1);
            WITH RECURSIVE many (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM many WHERE number < 20000)
            INSERT INTO log (tenant_id, number, room_id, event, payload, logged_at, previous)
            SELECT 'tenant', number, 'room', 'new-message', '{}', 1, number - 1 FROM many
            """
        )
        db.set_progress_handler(step, 1_000)

        assert log.missed(db.cursor(), "tenant", "ann", after=1, until=20_000, limit=10) is None
        assert steps < 5
