"""People in a room who call each other, for the tests of calls."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Answer, Client, Gateway


class Talk:
    """Users in a room, and what they do about calls in it."""

    def __init__(self, gateway: Gateway, room_id: str, users: dict[str, Client]) -> None:
        self.gateway = gateway
        self.room_id = room_id
        self.users = users
        self.calls = f"/chat/rooms/{room_id}/calls"

    async def start(self, user_id: str, **body: Any) -> Any:
        answer = await self.users[user_id].post(self.calls, body)
        assert answer.status == 201, answer.body
        self.gateway.fanout.told.clear()
        return answer.json["call"]

    async def does(self, user_id: str, action: str, call: Any, **body: Any) -> Answer:
        return await self.users[user_id].post(f"{self.calls}/{call['id']}/{action}", body)

    def told(self) -> list[tuple[str, tuple[str, ...]]]:
        """What was told since this was last asked, and to whom."""
        told = [(event.event, event.user_ids) for event in self.gateway.fanout.told]
        self.gateway.fanout.told.clear()
        return told

    async def logs(self) -> list[Any]:
        """The call logs in the room, oldest first."""
        page = await self.gateway.server.get(f"/chat/rooms/{self.room_id}/messages")
        parts = [part for message in page.json["messages"][::-1] for part in message["parts"]]
        return [part["data"] for part in parts if part["type"] == "data-call"]


async def talk(gateway: Gateway, *user_ids: str) -> Talk:
    users = {user_id: await gateway.user(user_id) for user_id in user_ids}
    return Talk(gateway, await gateway.room(*user_ids), users)
