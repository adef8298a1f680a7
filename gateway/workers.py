"""Several gateways on one port: ``gateway serve --workers N``.

The parent serves nothing. It holds the port, starts the workers (each a whole gateway with a Trio run of its own; the kernel
spreads connections over them by SO_REUSEPORT), starts again what ends, and passes signals on: SIGTERM and SIGINT end all of
them in order; SIGHUP renews them. All successors are ready before the first worker goes, so that no client moves to one
that is about to go as well.

Each worker inherits a pipe of which only the parent has the writing end: when the parent is gone, however it went, the
workers see the end of it and go too.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence

import structlog
import trio

from gateway.errors import ConfigError, GatewayError

READY = re.compile(r"^listening on (\S+)$")
START_S = 60.0
"""How long a worker may take from its start to listening, migrations included."""

BACKOFF_S = (0.1, 5.0)
"""Before a worker that ended is started again: the first wait, which doubles up to the last. One that lived longer than the
last wait begins anew."""

END_S = 5.0
"""How much longer than ``drain_s`` a worker may take to end before it is killed."""

log = structlog.get_logger(__name__)


class WorkerFailed(GatewayError):
    """A worker ended before it listened; it has said why on its standard error."""


class Workers:
    """Owns the worker processes.

    Args:
        command: starts one worker, but for ``--lifeline``.
        count: how many.
        drain_s: how long a worker may take to end in order.
        say: told each line that the first worker prints, and then that all listen.
    """

    def __init__(
        self, command: Sequence[str], *, count: int, drain_s: float, say: Callable[[str], None]
    ) -> None:
        self._command = list(command)
        self._count = count
        self._drain_s = drain_s
        self._say = say
        self._running: dict[int, trio.Process] = {}
        self._alive: set[trio.Process] = set()  # those, who starts, and who has been told to end
        self._renewal = trio.Event()  # has been asked for
        self._url = ""

    async def run(self) -> None:
        """Until SIGTERM or SIGINT.

        Raises:
            WorkerFailed: one of the first workers did not come to listen.
        """
        lifeline, held = os.pipe()
        try:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                # The first alone: it migrates the database, and tells of a first tenant.
                for number in range(self._count):
                    self._running[number] = await self._start(number, lifeline, tell=number == 0)
                self._say(f"listening on {self._url} with {self._count} workers")
                async with trio.open_nursery() as nursery:
                    for number in range(self._count):
                        nursery.start_soon(self._keep, number, lifeline)
                    nursery.start_soon(self._renew_when_asked, lifeline)
                    async for signal_number in signals:
                        if signal_number != signal.SIGHUP:
                            break
                        self._renewal.set()
                    nursery.cancel_scope.cancel()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._hurry, signals)
                    await self._end(list(self._alive))
                    nursery.cancel_scope.cancel()
        finally:
            os.close(lifeline)
            os.close(held)

    async def _keep(self, number: int, lifeline: int) -> None:
        """Start one worker again whenever it has ended."""
        wait_s = BACKOFF_S[0]
        while True:
            process = self._running[number]
            began = trio.current_time()
            status = await process.wait()
            self._alive.discard(process)
            if self._running[number] is not process:
                continue  # it was renewed
            if trio.current_time() - began > BACKOFF_S[1]:
                wait_s = BACKOFF_S[0]
            log.error("a worker has ended", worker=number, status=status, again_in_s=wait_s)
            await trio.sleep(wait_s)
            wait_s = min(2 * wait_s, BACKOFF_S[1])
            try:
                started = await self._start(number, lifeline)
            except WorkerFailed as error:
                log.error("a worker did not start", worker=number, error=error.message)
                continue
            if self._running[number] is process:
                self._running[number] = started
            else:
                await self._end([started])  # it was renewed meanwhile

    async def _start(self, number: int, lifeline: int, *, tell: bool = False) -> trio.Process:
        """A new worker that listens.

        Raises:
            WorkerFailed: it does not.
        """
        try:
            process = await trio.lowlevel.open_process(
                [*self._command, "--lifeline", str(lifeline)],
                stdout=subprocess.PIPE,
                pass_fds=(lifeline,),
                start_new_session=True,  # a Ctrl-C is for the parent, which passes it on
            )
        except OSError as error:  # the machine has no room for another process
            raise WorkerFailed(f"worker {number} cannot be started: {error.strerror}") from error
        self._alive.add(process)
        assert process.stdout is not None
        url = None
        received = b""
        with trio.move_on_after(START_S):
            async for chunk in process.stdout:
                *lines, received = (received + chunk).split(b"\n")
                for line in lines:
                    found = READY.match(text := line.decode())
                    if found is not None:
                        url = found[1]
                    elif tell:
                        self._say(text)
                if url is not None:
                    break
        await process.stdout.aclose()
        if url is None:
            process.kill()
            await process.wait()
            self._alive.discard(process)
            raise WorkerFailed(f"worker {number} ended with status {process.returncode} before it listened")
        self._url = url
        log.info("a worker listens", worker=number, process_id=process.pid)
        return process

    async def _renew_when_asked(self, lifeline: int) -> None:
        while True:
            await self._renewal.wait()
            self._renewal = trio.Event()
            await self._renew(lifeline)

    async def _renew(self, lifeline: int) -> None:
        """All of them by successors; should one not start, everything stays as it is."""
        log.info("renewing the workers")
        successors: list[trio.Process] = []
        try:
            for number in range(self._count):
                successors.append(await self._start(number, lifeline))
        except WorkerFailed as error:
            log.error("the workers are not renewed", error=error.message)
            await self._end(successors)
            return
        old = [self._running[number] for number in range(self._count)]
        self._running.update(enumerate(successors))
        await self._end(old)

    async def _end(self, processes: Sequence[trio.Process]) -> None:
        """Ask them to go; kill those that do not."""
        for process in processes:
            if process.returncode is None:
                process.terminate()
        with trio.move_on_after(self._drain_s + END_S):
            for process in processes:
                await process.wait()
        for process in processes:
            if process.returncode is None:
                log.error("a worker does not end and is killed", process_id=process.pid)
                process.kill()
                await process.wait()
        self._alive.difference_update(processes)

    async def _hurry(self, signals: AsyncIterator[int]) -> None:
        """Pass on what comes while the workers end: a second signal does not wait."""
        async for signal_number in signals:
            for process in self._alive:
                if process.returncode is None and signal_number != signal.SIGHUP:
                    process.terminate()


def hold_port(host: str, port: int) -> socket.socket:
    """A socket that owns the port without listening on it, so that workers of all times can share it.

    Raises:
        ConfigError: another program has it, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError as error:
        held.close()
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return held


def serve_with_workers(
    arguments: Sequence[str],
    *,
    count: int,
    host: str,
    port: int,
    drain_s: float,
    say: Callable[[str], None],
) -> None:
    """Run the workers until SIGTERM or SIGINT.

    Args:
        arguments: of ``gateway serve`` for each worker, but for the port.

    Raises:
        ConfigError: the port is another program's.
        WorkerFailed: a worker did not come to listen.
    """
    with hold_port(host, port) as held:
        command = [sys.executable, "-m", "gateway", "serve", *arguments]
        chosen = held.getsockname()[1]
        workers = Workers([*command, "--port", str(chosen)], count=count, drain_s=drain_s, say=say)
        trio.run(workers.run)
