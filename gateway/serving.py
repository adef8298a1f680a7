"""From a configuration to a gateway that listens, and to its end.

::

    serve
    └─ app nursery             inside the open store, which closes last
       ├─ the node             all that runs beside the connections (app.py)
       └─ connections nursery  one task for each connection that is not a multiplexed WebSocket
          ├─ nodes nursery     listens for the other nodes, to the end
          └─ listening nursery one task for each listening socket

Shutdown, on SIGTERM or SIGINT: stop accepting; tell the clients to go, at once where they must come back to this address,
spread over ``GOING_SHARE`` of ``drain_s`` where other nodes take them; let what is acknowledged finish within ``drain_s``;
cancel what is left; close the store. A second signal does not wait.
"""

from __future__ import annotations

import gc
import resource
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import structlog
import trio

from gateway.app import Node
from gateway.config import Config
from gateway.delivery.bus import Bus
from gateway.delivery.bus_memory import Exchange
from gateway.errors import ConfigError
from gateway.net.server import Listener, listen, server_tls
from gateway.store.engine import open_store
from gateway.store.ports import Store, TenantKeys

GOING_SHARE = 0.6
LAST_WORDS_S = 1.0
"""How long what was told last may take to leave for the other nodes. What is left behind they find in the log, and that this
node has ended when its lease is over."""

log = structlog.get_logger(__name__)


class Started(msgspec.Struct, frozen=True):
    """What ``serve`` tells when it really listens.

    Attributes:
        first_tenant: the keys of the tenant that the very first start made; they cannot be shown again.
    """

    url: str
    host: str
    port: int
    data: Path
    first_tenant: TenantKeys | None


async def serve(config: Config, *, started: Callable[[Started], None], lifeline: int | None = None) -> None:
    """Run a gateway until SIGTERM or SIGINT.

    Args:
        lifeline: one of several workers on the port: a pipe, whose end means the same as SIGTERM.

    Raises:
        ConfigError: an address cannot be listened on.
        OSError: the data folder cannot be used.
        ssl.SSLError: the certificate and key do not fit.
    """
    tls = None
    if config.tls.certificate is not None and config.tls.key is not None:
        tls = server_tls(str(config.tls.certificate), str(config.tls.key))
    _prepare_process()
    # Before anything is made: a start that fails for its port must not leave keys that nobody has seen.
    public = listen(config.host, config.port, shared=lifeline is not None)
    among_nodes = [] if config.bus == "memory" else listen(config.node.host, config.node.port)
    try:
        config.data.mkdir(parents=True, exist_ok=True)
        async with open_store(config.database, settings=config.store, native=config.native) as store:
            url = f"{'http' if tls is None else 'https'}://{_shown(config.host)}:{_port(public)}"
            node = Node(
                config,
                store,
                bus=await open_bus(config, store),
                url=url,
                file_key=await store.secret("files"),
                address=(config.node.host, _port(among_nodes)) if among_nodes else None,
            )
            # Not before all is there that a start can lack: keys that nobody has seen would be lost.
            first = None if await store.tenants() else await store.create_first_tenant("default")
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async with trio.open_nursery() as app:
                    await app.start(node.run)
                    async with trio.open_nursery() as connections:
                        _listen_on(among_nodes, connections, node, tls=None)
                        async with trio.open_nursery() as listening:
                            listener = _listen_on(public, listening, node, tls=tls, connections=connections)
                            gc.freeze()
                            started(
                                Started(
                                    url=url,
                                    host=config.host,
                                    port=_port(public),
                                    data=config.data,
                                    first_tenant=first,
                                )
                            )
                            await _told_to_stop(signals, lifeline)
                            listening.cancel_scope.cancel()
                        for sock in public:
                            listener.take_waiting(sock)
                            sock.close()
                        await _drain(node, signals, config.drain_s)
                        connections.cancel_scope.cancel()
                    node.peers.say_goodbye()
                    with trio.move_on_after(LAST_WORDS_S):
                        await node.bus.wait_sent()
                    app.cancel_scope.cancel()
    finally:
        for sock in [*public, *among_nodes]:
            sock.close()


async def open_bus(config: Config, store: Store) -> Bus:
    """This node's end of the bus that the configuration names.

    Raises:
        ConfigError: the extra that it needs is not installed.
    """
    if config.bus == "memory":
        return Exchange().node()
    try:
        from gateway.delivery.bus_redis import RedisBus
    except ImportError as error:
        raise ConfigError(f'bus = "redis" needs the extra "redis", which lacks {error.name}') from error
    return RedisBus(config.redis, secret=await store.secret("bus"))


def _listen_on(
    sockets: list[socket.socket],
    nursery: trio.Nursery,
    node: Node,
    *,
    tls: ssl.SSLContext | None,
    connections: trio.Nursery | None = None,
) -> Listener:
    """Accept until ``nursery`` ends; what is accepted lives in ``connections``."""
    listener = Listener(
        door=node.door, connections=connections or nursery, tls=tls, most=node.config.limits.connections
    )
    for sock in sockets:
        nursery.start_soon(listener.run, sock)
    return listener


def _port(sockets: list[socket.socket]) -> int:
    port: int = sockets[0].getsockname()[1]
    return port


async def _told_to_stop(signals: AsyncIterator[int], lifeline: int | None) -> None:
    async with trio.open_nursery() as nursery:

        async def signal_came() -> None:
            await anext(signals)
            nursery.cancel_scope.cancel()

        nursery.start_soon(signal_came)
        if lifeline is not None:
            await trio.lowlevel.wait_readable(lifeline)
            nursery.cancel_scope.cancel()


async def _drain(node: Node, signals: AsyncIterator[int], drain_s: float) -> None:
    """Let clients go and requests finish, for ``drain_s`` or until the second signal."""
    over_s = 0.0 if node.peers.alone else GOING_SHARE * drain_s
    log.info("shutting down", drain_s=drain_s, clients_go_within_s=over_s)
    with trio.move_on_after(drain_s):
        async with trio.open_nursery() as nursery:

            async def hurry() -> None:
                await anext(signals)
                nursery.cancel_scope.cancel()

            nursery.start_soon(hurry)
            await node.say_goodbye(over_s=over_s)
            node.door.stop()
            await node.door.wait_empty()
            await node.multiplexer.wait_empty()
            nursery.cancel_scope.cancel()


def _prepare_process() -> None:
    """Limits and collector for a process that holds many small long-lived objects."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Nearly all garbage goes by reference counting; a full collection over 10 000 connections would cost tens of
    # milliseconds each time.
    gc.set_threshold(100_000, 50, 100)
    # The store's thread needs the interpreter for microseconds after each commit; while the loop is busy it would wait this
    # long for it, five milliseconds by default.
    sys.setswitchinterval(0.0005)


def _shown(host: str) -> str:
    """A host that a browser on this machine can open."""
    if host in ("", "0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
