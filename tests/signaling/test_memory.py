"""The store in memory, which the traces run on, keeps the contract of every store of calls."""

from __future__ import annotations

import pytest

from tests.signaling.memory import MemoryCalls
from tests.signaling.store_contract import CallStoreContract, Stage


class MemoryStage:
    def __init__(self) -> None:
        self.store = MemoryCalls()
        self.tenant_id = "t"

    async def room(self, *user_ids: str) -> str:
        room_id = f"room-{len(self.store.rooms)}"
        self.store.rooms[self.tenant_id, room_id] = list(user_ids)
        return room_id

    async def leave(self, room_id: str, user_id: str) -> None:
        self.store.rooms[self.tenant_id, room_id].remove(user_id)

    async def log_of(self, room_id: str) -> list[str]:
        return [
            change.log.outcome
            for change in self.store.logged
            if change.call.room_id == room_id and change.log is not None
        ]


class TestMemoryCalls(CallStoreContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return MemoryStage()
