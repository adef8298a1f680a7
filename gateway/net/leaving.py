"""How a node that ends sends its clients away: one by one, so that those who take them are not stormed."""

from __future__ import annotations

from typing import Final

import trio

from gateway.net.engine import EngineSessions
from gateway.wire.frames import GOING_AWAY

BATCH: Final = 200
"""Most clients told to go before the loop turns to others."""

STEP_S: Final = 0.05


async def send_away(sessions: EngineSessions, *, over_s: float) -> None:
    """Tell every client to go, evenly over a time; they come back by themselves, to whoever listens then."""
    leaving = sessions.all()
    steps = max(1, int(over_s / STEP_S), len(leaving) // BATCH)
    for step in range(steps):
        for session in leaving[step::steps]:
            session.close("server shutting down", code=GOING_AWAY)
        await trio.sleep(over_s / steps)
    # And those who have come meanwhile, on a connection that a proxy has kept.
    for session in sessions.all():
        session.close("server shutting down", code=GOING_AWAY)
