"""Real gateways that share a real Redis and PostgreSQL, kept from schedule to schedule, and every way to hurt them."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from tests.history.schedule import DATABASE, NODES, REDIS, Fault
from tests.support.postgresql import Server, running_server
from tests.support.process import GATEWAY, Gateway, Program
from tests.support.redis_server import RedisServer, running

SETTINGS: dict[str, Any] = {
    # A connection that has gone dead must show within a schedule.
    "socket": {"ping_interval_ms": 800, "ping_timeout_ms": 1_200},
    "presence": {"grace_s": 0.5},
    # Who was away for long begins anew, and looks for himself.
    "recovery": {"events": 60},
    "drain_s": 1.0,
}

START_S = 60.0
"""Within which a node that was ended serves again, its database's own absence included."""

Cure = Callable[[], Awaitable[None]]


class Cluster:
    """Made by :func:`running_cluster`.

    Attributes:
        api_key: of the one tenant that all schedules share.
    """

    def __init__(
        self,
        gateways: list[Gateway],
        *,
        redis: RedisServer,
        database: Server,
        database_url: str,
        api_key: str,
    ) -> None:
        self.gateways = gateways
        self.redis = redis
        self.database = database
        self.database_url = database_url
        self.api_key = api_key
        self._read = [0] * len(gateways)  # lines of each log that have been looked at
        self._strange: list[str] = []

    @property
    def ports(self) -> list[int]:
        return [gateway.port for gateway in self.gateways]

    def strange(self) -> list[str]:
        """What the gateways have done that they should not, since it was last asked: errors of their own in the log, ends
        that were no success."""
        for number in range(len(self.gateways)):
            self._look_at(number)
        strange, self._strange = self._strange, []
        return strange

    def _look_at(self, number: int) -> None:
        lines = self.gateways[number].process.lines
        new = "".join(lines[self._read[number] :])
        self._read[number] = len(lines)
        before, error, trace = new.partition("Traceback")
        if error:
            self._strange.append(f"node {number} logged: {before[-400:]}{error}{trace[:3_000]}")

    async def inflict(self, fault: Fault) -> Cure:
        """Begin a fault of a node, Redis or the database; what is returned ends it."""
        if fault.target == REDIS:
            return await self._hurt_redis(fault)
        if fault.target == DATABASE:
            return await self._hurt_database(fault)
        number = int(fault.whom)
        gateway = self.gateways[number]
        if fault.what == "freeze":
            return _freeze(gateway.process.signal)
        if fault.what == "kill":
            await _in_thread(gateway.kill)
        elif status := await trio.to_thread.run_sync(gateway.stop):
            self._strange.append(f"node {number} ended with {status}")
        self._look_at(number)
        return partial(self._start, number)

    async def _start(self, number: int) -> None:
        """As whoever supervises it would: a node that finds its database away ends, and is started again."""
        self._read[number] = 0
        with trio.fail_after(START_S):
            while True:
                try:
                    return await _in_thread(self.gateways[number].start)
                except AssertionError as error:
                    if "gateway: database_url: " not in str(error):
                        raise
                await trio.sleep(0.1)

    async def _hurt_redis(self, fault: Fault) -> Cure:
        redis = self.redis
        if fault.what == "freeze":
            return _freeze(redis.signal)
        if fault.what == "restart":
            await _in_thread(redis.stop)
            return partial(_in_thread, redis.start)
        if fault.what == "pause":
            await _in_thread(redis.ask, "CLIENT", "PAUSE", str(int(fault.lasts_s * 1000)), "ALL")
        elif fault.what == "flush":
            await _in_thread(redis.ask, "FLUSHALL")
        else:
            for kind in ("pubsub", "normal"):
                await _in_thread(redis.ask, "CLIENT", "KILL", "TYPE", kind)
        return trio.lowlevel.checkpoint

    async def _hurt_database(self, fault: Fault) -> Cure:
        database = self.database
        if fault.what == "freeze":
            thawed = ExitStack()
            thawed.enter_context(database.standing_still())

            async def thaw() -> None:
                thawed.close()

            return thaw
        if fault.what == "restart":
            await _in_thread(database.stop, signal.SIGQUIT)
            return partial(_in_thread, database.start)
        await _in_thread(database.cut, self.database_url)
        return trio.lowlevel.checkpoint


def _freeze(tell: Callable[[signal.Signals], None]) -> Cure:
    tell(signal.SIGSTOP)

    async def thaw() -> None:
        tell(signal.SIGCONT)

    return thaw


async def _in_thread(work: Callable[..., object], *arguments: object) -> None:
    await trio.to_thread.run_sync(work, *arguments)


@contextmanager
def running_cluster(folder: Path, *, nodes: int = NODES, program: Program = GATEWAY) -> Iterator[Cluster]:
    """A cluster for the time of the block.

    Args:
        program: what is run as the gateway.
    """
    redis = RedisServer(folder)
    with ExitStack() as stack:
        stack.enter_context(running(redis))
        database = stack.enter_context(running_server())
        url = stack.enter_context(database.bare_database())
        settings = {**SETTINGS, "bus": "redis", "redis": {"url": redis.url}, "database_url": url}
        gateways = []
        for number in range(nodes):
            gateway = Gateway(folder / f"node{number}", settings=settings, program=program)
            stack.callback(gateway.kill)
            gateway.start()
            gateways.append(gateway)
        api_key = gateways[0].process.wait_for_line(r"API key\s+(\S+)")[1]
        yield Cluster(gateways, redis=redis, database=database, database_url=url, api_key=api_key)
