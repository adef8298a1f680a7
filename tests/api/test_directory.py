"""Finding users by name or id."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from gateway.store import users
from tests.api.conftest import Client, Gateway


async def found(client: Client, text: str) -> list[str]:
    answer = await client.get(f"/users?q={quote(text)}")
    assert answer.status == 200
    return [user["id"] for user in answer.json["users"]]


@pytest.fixture
async def ann(gateway: Gateway) -> Client:
    """A user among others: Ann, Bob Ångström, and a team of three."""
    await gateway.server.post("/users", {"id": "u-bob", "username": "Bob Ångström", "metadata": {"x": 1}})
    for number in range(3):
        await gateway.server.post("/users", {"id": f"team-{number}", "username": f"Player {number}"})
    await gateway.user("stranger", of=gateway.other)
    return await gateway.user("ann")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("bob", ["u-bob"]),
        ("ÅNGSTRÖM", ["u-bob"]),
        ("u-b", ["u-bob"]),
        ("TEAM", ["team-0", "team-1", "team-2"]),
        ("yer 1", ["team-1"]),
        ("stranger", []),
        ("%", []),
        ("", ["ann", "team-0", "team-1", "team-2", "u-bob"]),
    ],
)
async def test_a_user_finds_others_of_his_tenant(
    gateway: Gateway, ann: Client, text: str, ids: list[str]
) -> None:
    assert await found(ann, text) == ids
    assert await found(gateway.server, text) == ids


async def test_nothing_private_is_shown(ann: Client) -> None:
    (user,) = (await ann.get("/users?q=bob")).json["users"]

    assert user == {"id": "u-bob", "username": "Bob Ångström", "avatarUrl": None}


@pytest.mark.parametrize("text", ["", "player"])
@pytest.mark.parametrize("looked_at", [1, 2, 3, users.LOOKED_AT])
async def test_pages_hold_everybody_once_however_little_each_reads(
    ann: Client, text: str, looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "LOOKED_AT", looked_at)
    seen: list[str] = []
    cursor = ""
    for _ in range(10):
        page = (await ann.get(f"/users?q={text}&limit=2&cursor={cursor}")).json
        assert len(page["users"]) <= 2
        seen += [user["id"] for user in page["users"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break

    assert cursor is None
    everybody = ["ann", "team-0", "team-1", "team-2", "u-bob"]
    assert seen == (everybody[1:4] if text else everybody)


async def test_a_cursor_of_something_else_is_refused(gateway: Gateway, ann: Client) -> None:
    for _ in range(2):
        await gateway.room("ann")
    rooms = await ann.get("/chat/rooms?limit=1")

    for cursor in (rooms.json["nextCursor"], "nonsense"):
        answer = await ann.get(f"/users?cursor={cursor}")
        assert (answer.status, answer.json["code"]) == (400, "bad_cursor")
