"""Several nodes on one PostgreSQL, also while it is restarted."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
import pytest
import trio
import trio.testing

from gateway.config import StoreSettings
from gateway.errors import NotFound, Unavailable
from gateway.records import Message, Sent
from gateway.store.engine import open_store
from gateway.store.ports import TenantKeys
from tests.support.postgresql import Server

from .conftest import Clock, Home


@pytest.fixture
def url(postgresql: Server) -> Iterator[str]:
    with postgresql.database() as url:
        yield url


@asynccontextmanager
async def open_nodes(url: str, clock: Clock, number: int = 2) -> AsyncIterator[list[Home]]:
    """Several stores on one database, with one tenant."""
    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(open_store(url, settings=StoreSettings(), clock=clock))
            for _ in range(number)
        ]
        tenant_id = (await stores[0].create_tenant("Home")).id
        yield [Home(store, clock, tenant_id) for store in stores]


async def history(home: Home, room_id: str) -> list[Message]:
    """Everything that was said in a room, oldest first."""
    found: list[Message] = []
    cursor = None
    while True:
        page = await home.store.messages_page(
            home.tenant_id, room_id, viewer_id=None, limit=100, cursor=cursor
        )
        found += page.messages
        cursor = page.next_cursor
        if cursor is None:
            return found[::-1]


class TestSeveralNodes:
    async def test_what_they_send_to_one_room_has_one_order_without_gaps(
        self, url: str, clock: Clock
    ) -> None:
        announced: list[list[Sent]] = [[], [], []]
        async with open_nodes(url, clock, 3) as nodes:
            room = await nodes[0].room("ann", "bob")

            async def talk(home: Home, heard: list[Sent]) -> None:
                for _ in range(10):
                    await home.send(room.id, "ann", then=heard.append)

            async with trio.open_nursery() as nursery:
                for home, heard in zip(nodes, announced, strict=True):
                    for _ in range(5):
                        nursery.start_soon(talk, home, heard)

            said = await history(nodes[0], room.id)
            assert await nodes[1].unread(room.id, "bob") == 150
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT seq FROM messages ORDER BY seq").fetchall()

        assert [seq for (seq,) in found] == list(range(1, 151))
        times = [message.created_at for message in said]
        assert times == sorted(set(times))
        order = {message.id: place for place, message in enumerate(said)}
        for heard in announced:
            places = [order[one.message.id] for one in heard]
            assert len(places) == 50
            assert places == sorted(places)

    async def test_of_those_that_start_at_once_one_makes_the_first_tenant(self, url: str) -> None:
        made: list[TenantKeys | None] = []

        async def start() -> None:
            async with open_store(url, settings=StoreSettings()) as store:
                made.append(await store.create_first_tenant("default"))

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(start)

        assert sum(keys is not None for keys in made) == 1

    async def test_who_was_removed_by_one_is_nobodys_recipient_at_the_other(
        self, url: str, clock: Clock
    ) -> None:
        async with open_nodes(url, clock) as (one, other):
            room = await one.room("ann", "bob", "eve", name="Team")
            assert (await other.send(room.id, "ann")).recipients == ("ann", "bob", "eve")

            await one.remove(room.id, "eve")

            assert (await other.send(room.id, "ann")).recipients == ("ann", "bob")
            with pytest.raises(NotFound):
                await other.send(room.id, "eve")


async def test_text_may_have_a_nul_in_it(url: str, clock: Clock) -> None:
    async with open_nodes(url, clock, 1) as (home,):
        room = await home.room("ann", "b\0b")
        await home.say(room.id, "ann", "x\0y")

        assert await home.texts(room.id, "b\0b") == ["x\ufffdy"]
        assert await home.store.room(home.tenant_id, "no\0room", viewer_id=None) is None


async def test_a_server_that_is_restarted_under_load_loses_and_doubles_nothing(
    postgresql: Server, url: str, clock: Clock
) -> None:
    answered: dict[str, str] = {}
    announced: list[str] = []
    unavailable = 0

    def then(sent: Sent) -> None:
        if not sent.repeated:
            announced.append(sent.message.id)

    async with open_nodes(url, clock) as nodes:
        room = await nodes[0].room("ann", "bob")
        over = trio.Event()
        tell, told = trio.open_memory_channel[None](1_000_000)

        async def wait_for(answers: int) -> None:
            for _ in range(answers):
                await told.receive()

        async def talk(home: Home, talker: int) -> None:
            nonlocal unavailable
            number = 0
            while not over.is_set():
                number += 1
                key = f"{talker}-{number}"
                while key not in answered:
                    try:
                        sent = await home.send(room.id, "ann", key, client_message_id=key, then=then)
                        answered[key] = sent.message.id
                        tell.send_nowait(None)
                    except Unavailable:
                        unavailable += 1

        async with trio.open_nursery() as nursery:
            for talker in range(6):
                nursery.start_soon(talk, nodes[talker % 2], talker)
            for how in (signal.SIGINT, signal.SIGQUIT):  # in order, and as if it had crashed
                await wait_for(50)
                await trio.to_thread.run_sync(postgresql.stop, how)
                await trio.to_thread.run_sync(postgresql.start)
            await wait_for(50)
            over.set()
        said = [message.id for message in await history(nodes[0], room.id)]

    assert unavailable
    assert sorted(said) == sorted(answered.values())
    assert sorted(announced) == sorted(said)
