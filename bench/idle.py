"""Memory per connection: authenticated sessions in a joined room, saying nothing, above the same server when empty.

Rooms have ten users. What the kernel holds for a socket is the same for every server and is not in these figures. The
JavaScript peers are told to collect their garbage before each look, which is in their favour.
"""

from __future__ import annotations

import contextlib

from bench.contest import Measured, Options, compete
from bench.loop import Loop
from bench.peers import PEERS as ALL_PEERS
from bench.report import Report
from bench.server import Server
from bench.stage import stage
from bench.websocket import Crowd

PEERS = ("socketio-node", "ws-node", "bun", "socketio-python")
SESSIONS = (1_000, 10_000)
ROOM = 10


def run(options: Options) -> Report:
    report = Report("idle", "pss_per_connection_kb", "KiB per connection")
    sizes = options.sessions or ((20,) if options.quick else SESSIONS)
    compete(
        report,
        options,
        options.chosen(PEERS),
        [max(sizes)],
        lambda server, _largest: _measure(server, sorted(sizes), options),
    )
    return report


def _measure(name: str, sizes: list[int], options: Options) -> Measured:
    with contextlib.ExitStack() as stack:
        on_stage = stack.enter_context(stage(name, options, sessions=max(sizes), room=ROOM, join=True))
        loop = Loop()
        stack.callback(loop.close)
        crowd = Crowd(loop, marker=b'42["new-message"', on_hits=lambda _client, _hits: None)
        stack.callback(crowd.close)
        # One client comes first: what a server loads or compiles for its first connection is not per connection.
        crowd.open(on_stage.server.port, on_stage.handshakes[:1])
        collects = name in ALL_PEERS and ALL_PEERS[name].kind != "python"
        rss, pss = _memory(on_stage.server, loop, collects, options)
        for size in sizes:
            crowd.open(on_stage.server.port, on_stage.handshakes[len(crowd.clients) : size])
            now_rss, now_pss = _memory(on_stage.server, loop, collects, options)
            yield (
                f"{size} connections",
                {
                    "pss_per_connection_kb": (now_pss - pss) / (size - 1),
                    "rss_per_connection_kb": (now_rss - rss) / (size - 1),
                    "server_rss_mb": now_rss / 1024,
                },
            )


def _memory(server: Server, loop: Loop, collects: bool, options: Options) -> tuple[int, int]:
    """Resident and proportional size, once the server has had time to calm down."""
    if collects:
        server.collect_garbage()
    loop.quiet(for_s=0.2 if options.quick else 1.5, within_s=20)
    return server.memory_kb()
