"""The inner loops in C, where the installation has them.

Whose outboxes, put on each, write each: for a crowd these are what fan-out costs, and in C what is left is nearly the
kernel's part alone (README: Figures). Reading is the same for small events. They are optional: built when the package is, if
there is a compiler; without, or with the setting ``native = false``, the same runs in Python.
"""

from __future__ import annotations

from typing import Protocol

import gateway.delivery.native
from gateway.delivery.outbox import Outbox
from gateway.delivery.session import Session
from gateway.net import multiplexer
from gateway.net.multiplexer import Multiplexed
from gateway.wire.prepared import Prepared


class Native(gateway.delivery.native.Native, multiplexer.Native, Protocol):
    """All that ``_native.Native`` offers."""


def load_native() -> Native | None:
    """The compiled loops, bound to our classes; None where they were not built.

    Raises:
        TypeError: they were built for classes that looked otherwise.
    """
    try:
        from gateway.net import _native
    except ImportError:
        return None
    return _native.Native(session=Session, outbox=Outbox, prepared=Prepared, link=Multiplexed)
