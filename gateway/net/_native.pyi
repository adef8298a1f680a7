from collections.abc import Mapping

from gateway.delivery.outbox import Outbox
from gateway.delivery.session import Session
from gateway.net.multiplexer import Multiplexed
from gateway.wire.prepared import Prepared

class Native:
    def __new__(
        cls,
        *,
        session: type[Session],
        outbox: type[Outbox],
        prepared: type[Prepared],
        link: type[Multiplexed],
    ) -> Native: ...
    def outboxes_of(
        self, users: Mapping[str, tuple[Session, ...]], user_ids: tuple[str, ...], but: str | None, /
    ) -> list[Outbox]: ...
    def put_all(self, outboxes: list[Outbox], item: Prepared, /) -> None: ...
    def receive(self, fd: int, short_below: int, /) -> list[str | bytes]: ...
    def flush(
        self, turn: list[Multiplexed], most: int, /
    ) -> list[tuple[Multiplexed, bytes, int] | tuple[Multiplexed, None, int]]: ...
