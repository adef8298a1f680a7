"""What a write will have come to, for who does not want a task to wait for it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Pending(Protocol[T_co]):
    """A write that has not been asked for: by ``await``, as if it were a coroutine, or by ``when_done``; either, once."""

    def __await__(self) -> Generator[Any, Any, T_co]: ...
    def when_done(self, call: Callable[[], None]) -> None:
        """Ask for it, and call this on the event loop when ``result`` is there, after all that was written along with it has
        been announced. It must not raise and must not wait.

        Raises:
            Unavailable: there is too much to do; nothing will be called.
        """
        ...

    def result(self) -> T_co:
        """What it came to, or raises what ``await`` would raise."""
        ...


Written: TypeAlias = Coroutine[Any, Any, T] | Pending[T]
"""A write that has not been asked for; a coroutine where only a task can wait, as for a server that may not answer."""
