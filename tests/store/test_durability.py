"""Nothing acknowledged is lost when the process is killed in the middle of writing."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import trio

from gateway.config import StoreSettings
from gateway.store.engine import open_store

# Writes messages from eight tasks without pause and prints the id of each when it is announced.
WRITE = """
import pathlib, sys, trio
from gateway.config import StoreSettings
from gateway.store.engine import open_store
from gateway.store.ports import MessageDraft, NewParticipant, RoomDraft

async def main():
    async with open_store(pathlib.Path(sys.argv[1]), settings=StoreSettings()) as store:
        tenant_id = (await store.create_tenant("Home")).id
        people = [NewParticipant("ann"), NewParticipant("bob")]
        room = (await store.create_room(
            RoomDraft(tenant_id=tenant_id, creator_id=None, participants=people)
        )).room
        print(tenant_id, room.id, flush=True)

        async def write(writer):
            number = 0
            while True:
                await store.send_message(
                    MessageDraft(
                        tenant_id=tenant_id, room_id=room.id, sender_id="ann", parts=b"[]",
                        preview_text=None, client_message_id=f"{writer}-{number}",
                    ),
                    then=lambda sent: print(sent.message.id, flush=True),
                )
                number += 1

        async with trio.open_nursery() as nursery:
            for writer in range(8):
                nursery.start_soon(write, writer)

trio.run(main)
"""


def write_until_killed(path: Path) -> tuple[str, str, list[str]]:
    """Kill a process that writes; returns the tenant, the room, and what it had said was stored, in order."""
    writing = subprocess.Popen([sys.executable, "-c", WRITE, path], stdout=subprocess.PIPE, text=True)
    assert writing.stdout is not None
    tenant_id, room_id = writing.stdout.readline().split()
    announced = [writing.stdout.readline().strip() for _ in range(500)]
    writing.send_signal(signal.SIGKILL)
    # What had been announced by then may still be in the pipe, its last line cut short.
    rest = writing.stdout.read()
    announced += rest[: rest.rfind("\n") + 1].split()
    writing.stdout.close()
    writing.wait()
    return tenant_id, room_id, announced


async def test_every_announced_message_is_there_once_and_in_order_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    tenant_id, room_id, announced = await trio.to_thread.run_sync(write_until_killed, path)

    async with open_store(path, settings=StoreSettings()) as store:
        kept = []
        cursor = None
        while True:
            page = await store.messages_page(tenant_id, room_id, viewer_id=None, limit=1_000, cursor=cursor)
            kept += page.messages
            cursor = page.next_cursor
            if cursor is None:
                break
        kept.reverse()
        room = await store.room(tenant_id, room_id, viewer_id="bob")

    ids = [message.id for message in kept]
    assert len(set(ids)) == len(ids)
    assert ids[: len(announced)] == announced
    assert [message.created_at for message in kept] == sorted({message.created_at for message in kept})
    assert len({message.client_message_id for message in kept}) == len(kept)
    # A message and the counts it changed are one transaction.
    assert room is not None
    assert room.unread_count == len(kept)
