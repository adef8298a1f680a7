"""Whatever is sent together comes to what it would have come to one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec
import trio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.records import Sent
from gateway.store.connection import Cursor, rows
from gateway.store.messages import send, send_each
from gateway.store.ports import MessageDraft
from gateway.store.rosters import Rosters

from .conftest import Home
from .test_uploads import announce, uploaded

# One of each kind that a draft may name, and what is not there.
ROOMS = ("open", "other", "frozen", "elsewhere", "nowhere")
FILES = ("hers", "his", "pending", "elsewhere", "nowhere")
SAID = ("in open", "in other", "deleted", "with a file", "nowhere")

# Few of each, so that they meet.
choices = st.fixed_dictionaries(
    {
        "tenant": st.sampled_from(("home", "home", "home", "elsewhere")),
        "room": st.sampled_from(("open", "open", "open", *ROOMS)),
        "sender": st.sampled_from(("ann", "ann", "ann", "bob", "eve")),
        "client_message_id": st.sampled_from((None, "old", "c1", "c1")),
        "parent": st.sampled_from((None, None, None, *SAID)),
        "files": st.sampled_from(((), (), (), ("hers",), ("hers", "his"), *[(name,) for name in FILES])),
        "copy_of": st.sampled_from((None, None, None, "with a file", "nowhere")),
        "by_server": st.booleans(),
    }
)
Groups: TypeAlias = list[tuple[int, list[dict[str, Any]]]]
group = st.tuples(st.integers(-2, 2), st.lists(choices, min_size=6, max_size=12))
groups = st.lists(group, min_size=4, max_size=8)

MESSAGE_ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}")
STATE = (
    "SELECT * FROM messages ORDER BY room_id, seq",
    "SELECT * FROM rooms ORDER BY id",
    "SELECT * FROM participants ORDER BY room_id, user_id",
    "SELECT * FROM log ORDER BY tenant_id, number",
    "SELECT * FROM attachments ORDER BY upload_id, (SELECT seq FROM messages WHERE id = message_id), room_id",
    "SELECT * FROM uploads ORDER BY id",
)


class World:
    """Two tenants with users of the same names, and a draft for every choice."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._tenants = {"home": home.tenant_id}
        self._rooms = {"nowhere": "nowhere"}
        self._files = {"nowhere": "nowhere"}
        self._said = {"nowhere": "nowhere"}

    async def build(self) -> None:
        home, store = self.home, self.home.store
        elsewhere = Home(store, home.clock, (await store.create_tenant("Elsewhere")).id)
        self._tenants["elsewhere"] = elsewhere.tenant_id
        for name in ("open", "other", "frozen"):
            self._rooms[name] = (await home.room("ann", "bob", is_frozen=name == "frozen")).id
        self._rooms["elsewhere"] = (await elsewhere.room("ann", "bob")).id
        self._files["hers"], self._files["his"] = await uploaded(home), await uploaded(home, "bob")
        self._files["pending"] = (await announce(home)).id
        self._files["elsewhere"] = await uploaded(elsewhere)
        for name in ("open", "other"):
            said = await home.say(self._rooms[name], "ann", client_message_id="old")
            self._said[f"in {name}"] = said.id
        deleted = await home.say(self._rooms["open"], "bob")
        await store.delete_message(
            home.tenant_id, deleted.room_id, deleted.id, actor_id="bob", placeholder=None
        )
        self._said["deleted"] = deleted.id
        shown = await home.say(self._rooms["other"], "bob", upload_ids=(self._files["his"],))
        self._said["with a file"] = shown.id

    def draft(self, number: int, choice: dict[str, Any]) -> MessageDraft:
        copy_of, parent = choice["copy_of"], choice["parent"]
        said = self.home.draft(
            self._rooms[choice["room"]],
            choice["sender"],
            str(number),
            client_message_id=choice["client_message_id"],
            parent_message_id=None if parent is None else self._said[parent],
            by_server=choice["by_server"],
            # A copy has the files of what it is of.
            forwarded_from_id=None if copy_of is None else self._said[copy_of],
            upload_ids=() if copy_of else tuple(self._files[name] for name in choice["files"]),
        )
        return msgspec.structs.replace(said, tenant_id=self._tenants[choice["tenant"]])


class Undone(Exception):
    """Raised by a job, so that nothing of it is kept; with what came of it."""


async def seen(home: Home, come_to: Callable[[Cursor], list[Sent | GatewayError]]) -> list[str]:
    """What came of it for those who sent, and in the database, with messages called by their places."""

    def job(db: Cursor) -> None:
        shown = [*map(_shown, come_to(db))]
        shown += [repr(found) for sql in STATE for found in rows(db, sql)]
        places = {
            found[0]: f"{found[1]} {found[2]}" for found in rows(db, "SELECT id, room_id, seq FROM messages")
        }
        raise Undone([MESSAGE_ID.sub(lambda found: places.get(found[0], found[0]), one) for one in shown])

    store: Any = home.store
    try:
        await store._database.write(home.tenant_id, job, None)
    except Undone as undone:
        found: list[str] = undone.args[0]
        return found
    raise AssertionError("it was to be undone")


def _shown(outcome: Sent | GatewayError) -> str:
    if isinstance(outcome, GatewayError):
        return repr(outcome)
    event = outcome.event and msgspec.structs.astuple(outcome.event)
    return repr((msgspec.json.encode(outcome.message), outcome.repeated, event))


def one_by_one(
    db: Cursor, rosters: Rosters, drafts: Sequence[MessageDraft], now: int
) -> list[Sent | GatewayError]:
    outcomes: list[Sent | GatewayError] = []
    for draft in drafts:
        try:
            outcomes.append(send(db, rosters, draft, now))
        except GatewayError as error:
            outcomes.append(error)
    return outcomes


def come_to(
    world: World,
    groups: Groups,
    way: Callable[[Cursor, Rosters, Sequence[MessageDraft], int], list[Sent | GatewayError]],
) -> Callable[[Cursor], list[Sent | GatewayError]]:
    def job(db: Cursor) -> list[Sent | GatewayError]:
        rosters, outcomes = Rosters(), []
        for later, group in groups:
            drafts = [world.draft(number, choice) for number, choice in enumerate(group)]
            outcomes += way(db, rosters, drafts, world.home.clock.ms + later)
        return outcomes

    return job


async def test_together_is_as_one_by_one(home: Home) -> None:
    world = World(home)
    await world.build()

    # Not shrunk, which takes minutes: the first line that differs says enough.
    @settings(max_examples=40, phases=(Phase.generate,))
    @given(groups=groups)
    def alike(groups: Groups) -> None:
        together, alone = (
            trio.from_thread.run(seen, home, come_to(world, groups, way)) for way in (send_each, one_by_one)
        )
        for one, other in zip(together, alone, strict=True):
            assert one == other

    await trio.to_thread.run_sync(alike)
