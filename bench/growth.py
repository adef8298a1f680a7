"""How cost grows with size: room size, number of rooms, connections, stored messages; one of them grows, the rest stays.

- ``room-size``: one message to everybody in a room of 1 to 10 000, each delivery; one in flight and eight.
- ``rooms``: 1 to 100 000 rooms of ten, a person in at most 50 of them; sending to any of them, and anybody's list of 50.
- ``connections``: 100 to 19 500 people connected, in rooms of ten; a message to one room after the other, and what they
  cost when nobody says anything.
- ``messages``: 10 000 to 5 million stored in 1 000 rooms; sending, reading the newest 50, listing rooms, and searching for a
  word that every 24th message says and for one that every ten-thousandth does, in the searcher's 50 rooms.

Costs are processor time of the gateway. What is stored is written straight into its file before it starts, which takes
about 40 s a million.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench import fanout
from bench.asking import CONNECTIONS, asking
from bench.contest import GATEWAY, Measured, Options, compete
from bench.gateway import new_tenant
from bench.loop import BenchError, Loop
from bench.report import Curve, Figures, Report
from bench.rest import Load
from bench.seeding import RARE, WORDS, Past, mixed
from bench.server import Server
from bench.stage import stage
from bench.websocket import Client, Crowd

PEERS = ()
ROUNDS = 1
SECONDS = 1.0
ROOM = 10
ROOMS_OF_A_PERSON = 50
ROOMS_WITH_MESSAGES = 1_000
HEADLINE = "cpu_us_per_operation"
CALM = 5
"""So much longer than a load is its wake, in which its messages are indexed."""


@dataclass(frozen=True, slots=True)
class Axis:
    """
    Attributes:
        x: what grows, in words.
        y: what the figures are, in words.
        lines: figure to its name in the picture.
        measure: yields each size with its figures.
    """

    name: str
    x: str
    y: str
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    lines: dict[str, str]
    measure: Callable[[Sequence[int], Options], Iterator[tuple[int, Figures]]]


def run(options: Options) -> Report:
    report = Report("growth", HEADLINE, "µs server CPU per operation")
    axes = {axis.name: axis for axis in AXES if not options.only or axis.name in options.only}
    if unknown := set(options.only) - axes.keys():
        raise BenchError(f"no such axis: {', '.join(sorted(unknown))}")
    compete(
        report,
        options,
        [GATEWAY],
        list(axes),
        lambda _, name: _measured(axes[name], options),
    )
    for axis in axes.values():
        if (curve := _curve(axis, report)).lines:
            report.curves.append(curve)
    return report


def _sizes(axis: Axis, options: Options) -> Sequence[int]:
    return options.sessions or (axis.quick if options.quick else axis.sizes)


def _measured(axis: Axis, options: Options) -> Measured:
    for size, figures in axis.measure(sorted(_sizes(axis, options)), options):
        yield _case(axis, size), figures


def _case(axis: Axis, size: int) -> str:
    return f"{axis.name} {size}"


def _curve(axis: Axis, report: Report) -> Curve:
    found = {case: report.medians(case)[GATEWAY] for case in report.cases()}
    lines = {
        name: [
            (float(case.rpartition(" ")[2]), figures[figure])
            for case, figures in found.items()
            if case.startswith(f"{axis.name} ") and figure in figures
        ]
        for figure, name in axis.lines.items()
    }
    lines = {name: points for name, points in lines.items() if points}
    return Curve(title=f"growth with {axis.x}", x=axis.x, y=axis.y, lines=lines, wide=True)


# --- room size ------------------------------------------------------------------------------------------------


def _room_size(sizes: Sequence[int], options: Options) -> Iterator[tuple[int, Figures]]:
    for size in sizes:
        one, eight = [figures["cpu_us_per_delivery"] for _, figures in fanout.measure(GATEWAY, size, options)]
        yield size, {HEADLINE: one, "cpu_us_eight_in_flight": eight, "cpu_us_per_message": one * size}


# --- rooms, messages ------------------------------------------------------------------------------------------


def _rooms(sizes: Sequence[int], options: Options) -> Iterator[tuple[int, Figures]]:
    for size in sizes:
        past = Past(new_tenant(options), mixed(size, ROOM, ROOMS_OF_A_PERSON))
        past.grow_to(size)
        with asking(past, options) as asked:
            yield (
                size,
                {"cpu_us_per_list": asked.listing(), HEADLINE: asked.sending(), "pss_mb": asked.memory_mb()},
            )


def _messages(sizes: Sequence[int], options: Options) -> Iterator[tuple[int, Figures]]:
    past = Past(new_tenant(options), mixed(min(ROOMS_WITH_MESSAGES, sizes[0]), ROOM, ROOMS_OF_A_PERSON))
    for size in sizes:
        past.grow_to(size)
        with asking(past, options) as asked:
            yield (
                size,
                {
                    "cpu_us_per_page": asked.reading(),
                    "cpu_us_per_list": asked.listing(),
                    "cpu_us_per_search": asked.searching(WORDS),
                    "cpu_us_per_rare_search": asked.searching([RARE]),
                    HEADLINE: asked.sending(),  # last, for its messages are indexed in its wake
                    "pss_mb": asked.memory_mb(),
                },
            )


# --- connections ----------------------------------------------------------------------------------------------


def _connections(sizes: Sequence[int], options: Options) -> Iterator[tuple[int, Figures]]:
    with contextlib.ExitStack() as stack:
        on_stage = stack.enter_context(stage(GATEWAY, options, sessions=max(sizes), room=ROOM, join=True))
        server = on_stage.server
        loop = Loop()
        stack.callback(loop.close)
        arrived = number = 0

        def count(_client: Client, hits: int) -> None:
            nonlocal arrived
            arrived += hits

        def make(_connection: int) -> bytes:
            nonlocal number
            number += 1
            return on_stage.post(number % (len(crowd.clients) // ROOM), number)

        crowd = Crowd(loop, marker=b'42["new-message"', on_hits=count)
        stack.callback(crowd.close)
        for size in sizes:
            crowd.open(server.port, on_stage.handshakes[len(crowd.clients) : size])
            load = Load(loop, [server.port], CONNECTIONS, make)
            load.saturate(options.warm_up_s)
            loop.until(lambda: arrived == ROOM * number, within_s=30, what="deliveries")
            first = number
            with server.metering() as spent:
                load.saturate(options.seconds)
                loop.until(lambda: arrived == ROOM * number, within_s=30, what="deliveries")
            load.close()
            yield (
                size,
                {
                    HEADLINE: spent.server_s / (number - first) / ROOM * 1e6,
                    "idle_cpu_us_a_second": _idle(server, loop, options) / size,
                    "pss_mb": server.memory_kb()[1] / 1024,
                },
            )


def _idle(server: Server, loop: Loop, options: Options) -> float:
    """µs of processor time a second, while nobody says anything and all that was said is indexed."""
    _listen(loop, options.seconds * CALM)
    with server.metering() as spent:
        _listen(loop, options.seconds * 2)
    return spent.server_s / spent.wall_s * 1e6


def _listen(loop: Loop, for_s: float) -> None:
    until = time.perf_counter() + for_s
    while (left := until - time.perf_counter()) > 0:
        loop.turn(left)


AXES = (
    Axis(
        "room-size",
        "people in the room",
        "µs CPU per delivery",
        (1, 10, 100, 1_000, 10_000),
        (1, 20),
        {HEADLINE: "one message in flight", "cpu_us_eight_in_flight": "eight"},
        _room_size,
    ),
    Axis(
        "rooms",
        "rooms",
        "µs CPU",
        (1, 10, 100, 1_000, 10_000, 100_000),
        (1, 20),
        {HEADLINE: "sending a message", "cpu_us_per_list": "listing one's rooms, up to 50"},
        _rooms,
    ),
    Axis(
        "connections",
        "connections",
        "µs CPU",
        (100, 1_000, 10_000, 19_500),
        (20, 40),
        {HEADLINE: "a delivery in a room of ten", "idle_cpu_us_a_second": "a silent connection, each second"},
        _connections,
    ),
    Axis(
        "messages",
        "stored messages",
        "µs CPU",
        (10_000, 100_000, 1_000_000, 5_000_000),
        (200, 400),
        {
            HEADLINE: "sending a message",
            "cpu_us_per_page": "reading 50 messages",
            "cpu_us_per_list": "listing 50 rooms",
            "cpu_us_per_search": "searching for a common word",
            "cpu_us_per_rare_search": "searching for a rare word",
        },
        _messages,
    ),
)
