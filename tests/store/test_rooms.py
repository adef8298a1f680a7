from __future__ import annotations

import msgspec
import pytest
import trio

from gateway.errors import Conflict, Forbidden, InvalidRequest, NotFound
from gateway.records import RoomDetail
from gateway.store.ports import CreatedRoom, NewParticipant, RoomChange, RoomDraft

from .conftest import Home


def roles(room: RoomDetail) -> dict[str, str]:
    return {one.user_id: one.role for one in room.participants}


async def create(home: Home, *people: NewParticipant, creator_id: str | None = None) -> RoomDetail:
    created = await home.store.create_room(
        RoomDraft(tenant_id=home.tenant_id, creator_id=creator_id, participants=people)
    )
    return created.room


async def test_a_room_comes_back_as_it_was_asked_for(home: Home) -> None:
    room = await home.room(
        "ann",
        "bob",
        name="Plans",
        avatar_url="https://a/1",
        external_id="plans-1",
        custom_type="demo_group",
        metadata={"deep": {"er": [1, None]}},
        is_frozen=True,
    )

    assert (room.name, room.avatar_url, room.external_id) == ("Plans", "https://a/1", "plans-1")
    assert (room.custom_type, room.is_frozen) == ("demo_group", True)
    assert msgspec.json.decode(room.metadata) == {"deep": {"er": [1, None]}}
    assert (room.last_message, room.unread_count, room.last_read_message_id) == (None, 0, None)
    assert [one.user_id for one in room.participants] == ["ann", "bob"]
    assert await home.store.room(home.tenant_id, room.id, viewer_id=None) == room


async def test_a_room_without_metadata_says_null(home: Home) -> None:
    room = await home.room("ann")

    assert msgspec.json.decode(msgspec.json.encode(room))["metadata"] is None


async def test_participants_nobody_knew_are_created(home: Home) -> None:
    await create(home, NewParticipant("ann", "Ann", "demo"), NewParticipant("bob"))

    ann = await home.store.user(home.tenant_id, "ann")
    bob = await home.store.user(home.tenant_id, "bob")
    assert ann is not None
    assert bob is not None
    assert (ann.username, ann.app_code, bob.username) == ("Ann", "demo", "bob")


async def test_a_given_name_replaces_the_stored_one_but_an_id_never_replaces_a_name(home: Home) -> None:
    for user_id in ("ann", "bob", "cid"):
        await home.store.upsert_user(home.tenant_id, user_id, username=user_id.title(), app_code="demo")

    room = await create(
        home, NewParticipant("ann", "Anna"), NewParticipant("bob", "bob"), NewParticipant("cid")
    )

    assert [one.username for one in room.participants] == ["Anna", "Bob", "Cid"]
    bob = await home.store.user(home.tenant_id, "bob")
    assert bob is not None
    assert bob.app_code == "demo"


async def test_somebody_named_twice_is_in_once_with_what_both_entries_say(home: Home) -> None:
    room = await create(
        home, NewParticipant("ann"), NewParticipant("bob"), NewParticipant("ann", "Ann", role="MEMBER")
    )

    assert [(one.user_id, one.username, one.role) for one in room.participants] == [
        ("ann", "Ann", "MEMBER"),
        ("bob", "bob", "MEMBER"),
    ]


async def test_the_backends_first_participant_is_operator(home: Home) -> None:
    assert roles(await home.room("ann", "bob")) == {"ann": "OPERATOR", "bob": "MEMBER"}


async def test_a_user_who_creates_a_room_is_its_first_participant_and_operator(home: Home) -> None:
    room = await home.room("ann", "bob", creator_id="bob")

    assert list(roles(room).items()) == [("bob", "OPERATOR"), ("ann", "MEMBER")]


async def test_an_explicit_role_wins_over_both(home: Home) -> None:
    room = await create(home, NewParticipant("ann"), NewParticipant("bob", role="OPERATOR"), creator_id="cid")

    assert roles(room) == {"cid": "MEMBER", "ann": "MEMBER", "bob": "OPERATOR"}


@pytest.mark.parametrize("people", [[], [NewParticipant("a"), NewParticipant("b"), NewParticipant("c")]])
async def test_nobody_or_too_many_is_refused_and_creates_no_users(
    home: Home, people: list[NewParticipant]
) -> None:
    with pytest.raises(InvalidRequest):
        await home.store.create_room(
            RoomDraft(tenant_id=home.tenant_id, creator_id=None, participants=people, max_participants=2)
        )

    assert await home.store.user(home.tenant_id, "a") is None


async def test_an_unknown_role_is_refused(home: Home) -> None:
    with pytest.raises(InvalidRequest):
        await create(home, NewParticipant("ann", role="KING"))


async def test_the_same_external_id_again_returns_the_room_as_it_is(home: Home) -> None:
    first = await home.room("ann", "bob", external_id="x", name="First")

    again = await home.store.create_room(
        RoomDraft(
            tenant_id=home.tenant_id,
            creator_id=None,
            participants=[NewParticipant("cid")],
            external_id="x",
            name="Second",
        )
    )

    assert again == CreatedRoom(first, created=False)
    assert await home.store.user(home.tenant_id, "cid") is None


async def test_many_who_create_the_same_external_id_at_once_get_one_room(home: Home) -> None:
    created: list[CreatedRoom] = []

    async def race() -> None:
        created.append(
            await home.store.create_room(
                RoomDraft(
                    tenant_id=home.tenant_id,
                    creator_id=None,
                    participants=[NewParticipant("ann")],
                    external_id="x",
                )
            )
        )

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(race)

    assert len({one.room.id for one in created}) == 1
    assert sum(one.created for one in created) == 1


async def test_a_user_does_not_get_to_see_a_room_he_is_not_in_by_naming_its_external_id(home: Home) -> None:
    await home.room("ann", external_id="x")

    with pytest.raises(Conflict):
        await home.room(creator_id="eve", external_id="x")


async def test_an_external_id_belongs_to_one_tenant(home: Home) -> None:
    other = await home.store.create_tenant("Other")
    mine = await home.room("ann", external_id="x")

    theirs = await home.store.create_room(
        RoomDraft(tenant_id=other.id, creator_id=None, participants=[NewParticipant("ann")], external_id="x")
    )

    assert theirs.created
    assert theirs.room.id != mine.id


async def test_a_room_is_shown_to_its_participants_and_its_tenant_only(home: Home) -> None:
    other = await home.store.create_tenant("Other")
    room = await home.room("ann")

    assert await home.store.room(home.tenant_id, room.id, viewer_id="ann") is not None
    assert await home.store.room(home.tenant_id, room.id, viewer_id="eve") is None
    assert await home.store.room(other.id, room.id, viewer_id=None) is None
    assert await home.store.room(home.tenant_id, "no-uuid", viewer_id=None) is None


async def test_a_roster_is_in_the_order_of_joining_and_of_one_tenant(home: Home) -> None:
    other = await home.store.create_tenant("Other")
    room = await home.room("zoe", "ann", "bob", is_frozen=True)

    roster = await home.store.roster(home.tenant_id, room.id)

    assert roster is not None
    assert roster.user_ids == ("zoe", "ann", "bob")
    assert roster.members == {"zoe", "ann", "bob"}
    assert (roster.tenant_id, roster.room_id, roster.is_frozen) == (home.tenant_id, room.id, True)
    assert await home.store.roster(other.id, room.id) is None


async def test_contacts_are_who_shares_a_room_that_is_not_too_large(home: Home) -> None:
    await home.room("ann", "bob")
    await home.room("ann", "cid", "dan")
    await home.room("bob", "eve")

    assert await home.store.contacts(home.tenant_id, "ann", max_room=3) == {"ann", "bob", "cid", "dan"}
    assert await home.store.contacts(home.tenant_id, "ann", max_room=2) == {"ann", "bob"}
    assert await home.store.contacts(home.tenant_id, "nobody", max_room=3) == {"nobody"}


async def test_an_operator_and_the_backend_change_a_room(home: Home) -> None:
    room = await home.room("ann", "bob", name="Old", custom_type="kept", metadata={"a": 1})

    changed = await home.store.change_room(
        home.tenant_id, room.id, RoomChange(name="New", metadata=None), actor_id="ann"
    )
    frozen = await home.store.change_room(home.tenant_id, room.id, RoomChange(is_frozen=True), actor_id=None)

    assert (changed.name, changed.custom_type, msgspec.json.encode(changed.metadata)) == (
        "New",
        "kept",
        b"null",
    )
    assert (frozen.name, frozen.is_frozen) == ("New", True)


async def test_a_member_may_not_change_a_room_and_a_stranger_is_not_told_it_exists(home: Home) -> None:
    other = await home.store.create_tenant("Other")
    room = await home.room("ann", "bob")
    change = RoomChange(name="Mine")

    with pytest.raises(Forbidden):
        await home.store.change_room(home.tenant_id, room.id, change, actor_id="bob")
    with pytest.raises(NotFound):
        await home.store.change_room(home.tenant_id, room.id, change, actor_id="eve")
    with pytest.raises(NotFound):
        await home.store.change_room(other.id, room.id, change, actor_id=None)


async def test_freezing_shows_in_a_roster_that_was_read_before(home: Home) -> None:
    room = await home.room("ann")
    await home.store.roster(home.tenant_id, room.id)

    await home.store.change_room(home.tenant_id, room.id, RoomChange(is_frozen=True), actor_id=None)

    roster = await home.store.roster(home.tenant_id, room.id)
    assert roster is not None
    assert roster.is_frozen
