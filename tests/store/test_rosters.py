"""The roster cache, which must never tell what was rolled back, nor grow without bound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from gateway.store import participants, rooms, tenants
from gateway.store import rosters as module
from gateway.store.migrate import migrate
from gateway.store.ports import NewParticipant, RoomDraft
from gateway.store.rosters import Rosters
from gateway.store.sqlite.connection import connect


@pytest.fixture
def db(tmp_path: Path) -> Iterator[apsw.Cursor]:
    migrate(tmp_path / "gateway.db")
    connection = connect(tmp_path / "gateway.db", synchronous="normal")
    yield connection.cursor()
    connection.close()


def make_room(db: apsw.Cursor, tenant_id: str, *user_ids: str) -> str:
    draft = RoomDraft(
        tenant_id=tenant_id,
        creator_id=None,
        participants=[NewParticipant(user_id) for user_id in user_ids],
        name="Team",
    )
    return rooms.create(db, draft, 1).room.id


def join(db: apsw.Cursor, rosters: Rosters, tenant_id: str, room_id: str, user_id: str) -> None:
    participants.add(
        db,
        rosters,
        tenant_id,
        room_id,
        NewParticipant(user_id),
        actor_id=None,
        max_participants=10,
        now=1,
    )


def test_the_same_tuple_is_shared_until_the_roster_changes(db: apsw.Cursor) -> None:
    rosters = Rosters()
    tenant_id = tenants.create(db, "Home", 1).id
    room_id = make_room(db, tenant_id, "ann", "bob")
    first = module.find(db, rosters, tenant_id, room_id)

    assert first is not None
    assert module.find(db, rosters, tenant_id, room_id) is first
    join(db, rosters, tenant_id, room_id, "cid")
    after = module.find(db, rosters, tenant_id, room_id)
    assert after is not None
    assert after.user_ids == ("ann", "bob", "cid")


def test_a_roster_that_was_rolled_back_is_never_taken_for_another(db: apsw.Cursor) -> None:
    rosters = Rosters()
    tenant_id = tenants.create(db, "Home", 1).id
    room_id = make_room(db, tenant_id, "ann", "bob")

    db.execute("BEGIN")
    join(db, rosters, tenant_id, room_id, "eve")
    db.execute("ROLLBACK")
    join(db, rosters, tenant_id, room_id, "cid")

    roster = module.find(db, rosters, tenant_id, room_id)
    assert roster is not None
    assert roster.user_ids == ("ann", "bob", "cid")


def test_what_was_loaded_longest_ago_makes_room(db: apsw.Cursor) -> None:
    rosters = Rosters(bound=7)
    tenant_id = tenants.create(db, "Home", 1).id
    old, young = make_room(db, tenant_id, "ann", "bob"), make_room(db, tenant_id, "ann", "bob")
    kept = {room_id: module.find(db, rosters, tenant_id, room_id) for room_id in (old, young)}

    large = make_room(db, tenant_id, "ann", "bob", "cid")
    module.find(db, rosters, tenant_id, large)

    assert module.find(db, rosters, tenant_id, young) is kept[young]
    again = module.find(db, rosters, tenant_id, old)
    assert again == kept[old]
    assert again is not kept[old]
