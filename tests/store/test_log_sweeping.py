"""What of the log is swept, what stays, and the sockets it is kept for."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.delivery.sweeping import BATCH, SOCKET_MS, sweep
from gateway.errors import NotFound
from gateway.records import LogSpan
from gateway.store import log

from .conftest import Home
from .test_log import everything, missed, names, plans_of, tell


class TestSweeping:
    async def test_all_that_is_old_goes_of_all_tenants(self, home: Home) -> None:
        other = Home(home.store, home.clock, (await home.store.create_tenant("Other")).id)
        silent = Home(home.store, home.clock, (await home.store.create_tenant("Silent")).id)
        for place, messages in ((home, BATCH + 20), (other, 3), (silent, 1)):
            room = await place.room("ann", "bob")
            for _ in range(messages):
                await place.say(room.id, "ann")
            await place.store.open_room(place.tenant_id, "ann", f"{place.tenant_id}'s", room.id)
        keep = home.clock.ms + 1
        home.clock.ms += SOCKET_MS
        await home.say((await home.room("ann", "bob")).id, "ann")

        await sweep(home.store, before=home.clock.ms)

        spans = [await home.store.log_span(place.tenant_id) for place in (home, other, silent)]
        assert [(span.floor, span.head) for span in spans] == [(BATCH + 20, BATCH + 21), (2, 3), (0, 1)]
        assert (await home.store.returning(home.tenant_id, f"{home.tenant_id}'s")).room_id is not None
        await sweep(home.store, before=keep + SOCKET_MS)
        assert (await home.store.returning(home.tenant_id, f"{home.tenant_id}'s")).room_id is None
        assert await home.store.outdated_logs(before=keep) == []

    def test_looking_for_what_is_old_reads_a_row_of_each_tenant_however_much_there_is(
        self, tmp_path: Path
    ) -> None:
        plans = plans_of(tmp_path / "gateway.db", lambda db: log.outdated(db, before=1))

        read = [plan for plan in plans if plan.startswith(("SEARCH", "SCAN"))]
        assert [plan for plan in read if plan.startswith("SCAN")] == [
            "SCAN tenants USING COVERING INDEX sqlite_autoindex_tenants_1"
        ]
        assert "SEARCH log USING PRIMARY KEY (tenant_id=? AND number=?)" in read

    async def test_what_is_old_goes_and_the_floor_says_so(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")
        for _ in range(3):
            await home.say(room.id, "ann")
        home.clock.ms += 1_000
        await home.say(room.id, "ann")

        assert not await home.store.sweep_log(home.tenant_id, before=home.clock.ms, limit=100)

        span = await home.store.log_span(home.tenant_id)
        assert (span.floor, span.head) == (3, 4)
        assert [event.number for event in await missed(home, "bob")] == [4]
        sent = await home.send(room.id, "ann")
        assert sent.event is not None
        assert sent.event.number == 5

    async def test_the_newest_stays_so_that_numbers_go_on(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        for _ in range(3):
            await home.say(room.id, "ann")

        await home.store.sweep_log(home.tenant_id, before=home.clock.ms + 1, limit=100)

        span = await home.store.log_span(home.tenant_id)
        assert span == LogSpan(span.epoch, 2, 3)

    async def test_it_goes_in_batches(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        for _ in range(5):
            await home.say(room.id, "ann")
        before = home.clock.ms + 1

        more = [await home.store.sweep_log(home.tenant_id, before=before, limit=2) for _ in range(3)]

        assert more == [True, True, False]
        assert (await home.store.log_span(home.tenant_id)).floor == 4

    async def test_who_has_left_and_comes_in_time_still_finds_it(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")
        await home.say(room.id, "ann")
        home.clock.ms += 1_000
        await home.remove(room.id, "bob")
        await tell(home, "bob")
        await home.store.sweep_log(home.tenant_id, before=home.clock.ms, limit=100)

        assert names(await missed(home, "bob", 1)) == [(2, "room-participants-changed"), (4, "call-ended")]
        await home.store.sweep_log(home.tenant_id, before=home.clock.ms + 1, limit=100)
        assert names(await missed(home, "bob", 1)) == [(4, "call-ended")]
        assert (await everything(home))[0].user_ids == ("bob",)


class TestSockets:
    async def test_the_room_a_socket_has_open_is_found_again(self, home: Home) -> None:
        first, second = await home.room("ann", "bob"), await home.room("ann", "cid")

        for room in (first, second):
            await home.store.open_room(home.tenant_id, "ann", "socket", room.id)

        found = await home.store.returning(home.tenant_id, "socket")
        assert (found.room_id, found.has_lost_room, found.opened_at) == (second.id, False, home.clock.ms)
        assert found.log == await home.store.log_span(home.tenant_id)

    async def test_a_socket_without_a_room_has_none(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        await home.store.open_room(home.tenant_id, "ann", "left", room.id)
        await home.store.open_room(home.tenant_id, "ann", "left", None)
        await home.store.open_room(home.tenant_id, "ann", "never", None)

        for socket_id in ("left", "never", "unknown"):
            found = await home.store.returning(home.tenant_id, socket_id)
            assert (found.room_id, found.has_lost_room, found.opened_at) == (None, False, 0)

    async def test_who_is_removed_loses_the_room_and_does_not_find_it_open_when_he_is_back(
        self, home: Home
    ) -> None:
        room = await home.room("ann", "bob", name="Team")
        for user_id in ("ann", "bob"):
            await home.store.open_room(home.tenant_id, user_id, f"{user_id}'s", room.id)

        await home.remove(room.id, "bob")
        await home.add(room.id, "bob")

        found = await home.store.returning(home.tenant_id, "bob's")
        assert (found.room_id, found.has_lost_room) == (None, True)
        found = await home.store.returning(home.tenant_id, "ann's")
        assert (found.room_id, found.has_lost_room) == (room.id, False)

    async def test_a_room_is_opened_by_its_participants_alone(self, home: Home) -> None:
        room = await home.room("ann", "bob")

        with pytest.raises(NotFound):
            await home.store.open_room(home.tenant_id, "eve", "socket", room.id)
        with pytest.raises(NotFound):
            await home.store.open_room("another tenant", "ann", "socket", room.id)

    async def test_sockets_are_forgotten_oldest_first(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        for number in range(3):
            home.clock.ms += 1
            await home.store.open_room(home.tenant_id, "ann", str(number), room.id)

        assert await home.store.forget_sockets(before=home.clock.ms, limit=1) == 1
        assert await home.store.forget_sockets(before=home.clock.ms, limit=10) == 1
        found = [await home.store.returning(home.tenant_id, str(number)) for number in range(3)]
        assert [one.room_id for one in found] == [None, None, room.id]
