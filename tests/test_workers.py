"""Who looks after worker processes, here with workers that do nothing but listen for their end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from gateway.workers import Workers

DRAIN_S = 30.0
PATIENCE_S = 20.0

WORKER = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
ends_at = int(sys.argv[2])
def told(*_):
    global ends_at
    ends_at -= 1
    (folder / f"told {os.getpid()}").touch()
    if ends_at <= 0:
        sys.exit()
signal.signal(signal.SIGTERM, told)
(folder / str(os.getpid())).touch()
while (folder / "full").exists():
    time.sleep(0.01)
print("listening on http://127.0.0.1:1", flush=True)
while True:
    time.sleep(0.01)
"""


class House:
    """Workers in this process's care, which put a file of their name into a folder when they start.

    Attributes:
        over: ``run`` has come to its end.
    """

    def __init__(self, folder: Path, *, ends_at: int = 1) -> None:
        self.folder = folder
        self.over = trio.Event()
        self._lines, self._said = trio.open_memory_channel[str](100)
        command = [sys.executable, "-c", WORKER, str(folder), str(ends_at)]
        self._workers = Workers(command, count=2, drain_s=DRAIN_S, say=self._lines.send_nowait)

    async def run(self) -> None:
        await self._workers.run()
        self.over.set()

    async def listening(self) -> None:
        while " with 2 workers" not in await self._said.receive():
            pass

    def started(self) -> list[int]:
        return [int(path.name) for path in self.folder.iterdir() if path.name.isdecimal()]

    async def until_started(self, count: int) -> None:
        await until(lambda: len(self.started()) >= count)

    async def until_told(self, count: int) -> None:
        await until(lambda: len([*self.folder.glob("told *")]) >= count)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  # other processes give no sign
        await trio.sleep(0.01)


@pytest.fixture
async def house(tmp_path: Path, nursery: trio.Nursery) -> House:
    house = House(tmp_path)
    nursery.start_soon(house.run)
    with trio.fail_after(PATIENCE_S):
        await house.listening()
    return house


def is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


async def test_an_end_that_comes_in_the_middle_of_a_renewal_ends_all_of_them_at_once(house: House) -> None:
    (house.folder / "full").touch()
    os.kill(os.getpid(), signal.SIGHUP)
    with trio.fail_after(PATIENCE_S):
        await house.until_started(3)
        os.kill(os.getpid(), signal.SIGTERM)
        await house.over.wait()
    assert not any(map(is_alive, house.started()))


async def test_a_renewal_that_is_asked_for_during_another_follows_it(house: House) -> None:
    (house.folder / "full").touch()
    os.kill(os.getpid(), signal.SIGHUP)
    with trio.fail_after(PATIENCE_S):
        await house.until_started(3)
        os.kill(os.getpid(), signal.SIGHUP)
        (house.folder / "full").unlink()
        await house.until_started(6)
        os.kill(os.getpid(), signal.SIGTERM)
        await house.over.wait()
    assert not any(map(is_alive, house.started()))


async def test_a_second_signal_is_passed_on(tmp_path: Path, nursery: trio.Nursery) -> None:
    house = House(tmp_path, ends_at=2)
    nursery.start_soon(house.run)
    with trio.fail_after(PATIENCE_S):
        await house.listening()
        os.kill(os.getpid(), signal.SIGTERM)
        await house.until_told(2)
        assert not house.over.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        await house.over.wait()
