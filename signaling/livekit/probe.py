"""Can this LiveKit be used, and if not, why: asked once at the start, for the operator."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2
import trio
from livekit.protocol.room import ListRoomsRequest

from signaling.livekit.settings import LiveKitSettings
from signaling.livekit.tokens import Tokens
from signaling.livekit.twirp import DEADLINE_S, SERVICE, open_http

SKEW_S: Final = 30.0
"""LiveKit forgives a minute between its clock and ours."""


async def trouble(
    settings: LiveKitSettings, *, transport: httpx2.AsyncBaseTransport | None = None
) -> str | None:
    """Why calls will not work, in a sentence for whoever set it up; None when nothing is seen to be wrong."""
    # A name that no room has: an answer without rooms is a short one.
    request = ListRoomsRequest(names=["-"]).SerializeToString()
    headers = {
        "Authorization": f"Bearer {Tokens(settings).list()}",
        "Content-Type": "application/protobuf",
    }
    try:
        with trio.fail_after(DEADLINE_S):
            async with open_http(settings.http_url, transport=transport) as http:
                response = await http.post(f"{SERVICE}ListRooms", content=request, headers=headers)
    except (httpx2.HTTPError, trio.TooSlowError) as error:
        return f"{settings.url} cannot be reached: {_why(error)}"
    skew = _skew_s(response)
    if abs(skew) > SKEW_S:
        return f"the clock of {settings.url} differs from this machine's by {abs(skew):.0f} seconds"
    if response.status_code == 401:
        if "API key" in response.text:
            return f"{settings.url} does not know the API key {settings.api_key}"
        return f"{settings.url} knows the API key {settings.api_key}, but with another secret"
    if response.status_code != 200 or "protobuf" not in response.headers.get("content-type", ""):
        return f"{settings.url} does not answer as LiveKit does (status {response.status_code})"
    return None


def _why(error: Exception) -> str:
    for cause in _causes(error):
        match cause:
            case socket.gaierror():
                return "there is no host of this name"
            case ConnectionRefusedError():
                return "nothing listens there"
            case ssl.SSLCertVerificationError(verify_message=reason):
                return f"its certificate is not trusted: {reason}"
            case ssl.SSLError():
                return "it does not speak TLS"
    if isinstance(error, httpx2.TimeoutException | trio.TooSlowError):
        return "it does not answer in time"
    return "the connection broke"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it came from, and what is inside of groups: one host name has several addresses to try."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    following = error.__cause__ or error.__context__
    if following is not None:
        yield from _causes(following)


def _skew_s(response: httpx2.Response) -> float:
    """How far LiveKit's clock is ahead of ours, as far as its answer says."""
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp() - time.time()
    except (KeyError, ValueError):
        return 0.0
