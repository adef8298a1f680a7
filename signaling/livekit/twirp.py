"""Requests to LiveKit's server API: Twirp, which is protobuf in an HTTP POST, an error being JSON.

LiveKit's own client needs asyncio; this is the part of it that one server with one address needs.
"""

from __future__ import annotations

import random
import uuid
from typing import Final, TypeVar

import httpx2
import msgspec
import structlog
import trio
from google.protobuf.message import DecodeError, Message

SERVICE: Final = "/twirp/livekit.RoomService/"
TRIES: Final = 3
PAUSE_S: Final = 0.1
"""Before the second try; each further pause is three times as long."""

TRY_S: Final = 2.0
DEADLINE_S: Final = 5.0
AT_ONCE: Final = 16
"""Requests on their way at a time. Further ones wait, no longer than their deadline."""

A = TypeVar("A", bound=Message)

log = structlog.get_logger(__name__)


class TwirpError(Exception):
    """LiveKit refused, or could not be asked. Never carries LiveKit's own sentence, which may quote a token.

    Attributes:
        code: Twirp's word (``not_found``, ``unauthenticated``, ...), ``unreachable``, or ``not_livekit``.
        status: of HTTP; 0 without an answer.
    """

    def __init__(self, code: str, *, status: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class Refusal(msgspec.Struct, frozen=True):
    code: str


class Twirp:
    """Sends requests over one pool of connections.

    Every try of a request carries the same id, so that LiveKit can tell a repetition from a second wish. That LiveKit goes
    away and comes back is logged here, once each.

    Args:
        http: with the base URL of LiveKit; closed by whoever made it.
    """

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self._limit = trio.CapacityLimiter(AT_ONCE)
        self._works = True

    async def call(self, method: str, request: Message, answer: type[A], *, token: str) -> A:
        """What LiveKit answers.

        Raises:
            TwirpError: it refused, or there was no answer in time.
        """
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/protobuf",
            "X-Livekit-Request-Id": str(uuid.uuid4()),
        }
        body = request.SerializeToString()
        failure = TwirpError("unreachable")
        with trio.move_on_after(DEADLINE_S):
            for number in range(TRIES):
                if number:
                    await trio.sleep(PAUSE_S * 3 ** (number - 1) * random.uniform(0.7, 1.3))
                try:
                    async with self._limit:
                        response = await self._http.post(SERVICE + method, content=body, headers=headers)
                except httpx2.TransportError:
                    failure = TwirpError("unreachable")
                    continue
                if response.status_code == 200:
                    self._note(works=True)
                    return _decoded(answer, response.content)
                failure = TwirpError(_code(response), status=response.status_code)
                if response.status_code < 500 and response.status_code != 429:
                    break
        self._note(works=400 <= failure.status < 500 and failure.status != 401, failure=failure)
        raise failure

    def _note(self, *, works: bool, failure: TwirpError | None = None) -> None:
        if works is self._works:
            return
        self._works = works
        if works:
            log.info("LiveKit works again")
        elif failure is not None:
            log.warning("LiveKit does not do its work", code=failure.code, status=failure.status)


def open_http(url: str, *, transport: httpx2.AsyncBaseTransport | None = None) -> httpx2.AsyncClient:
    """A pool of connections to LiveKit; the caller closes it.

    Args:
        transport: what carries the requests, for tests.
    """
    # The environment's proxies are for the way out; LiveKit is ours.
    return httpx2.AsyncClient(base_url=url, timeout=TRY_S, transport=transport, trust_env=False)


def _decoded(answer: type[A], body: bytes) -> A:
    try:
        return answer.FromString(body)
    except DecodeError as error:
        raise TwirpError("not_livekit", status=200) from error


def _code(response: httpx2.Response) -> str:
    try:
        return msgspec.json.decode(response.content, type=Refusal).code
    except msgspec.DecodeError:
        # LiveKit's check of the token answers in plain text; anything else is not LiveKit.
        return "unauthenticated" if response.status_code == 401 else "not_livekit"
