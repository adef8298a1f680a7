"""HTTP/1.1 on the one port, byte by byte: what a kept-alive connection must survive, and what must end it."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import end
from tests.support.platform import Person, Platform
from tests.support.process import Gateway
from tests.support.raw import Answer, Closed, Connection, HandshakeRefused, WebSocket

SERVED_BY_THE_LEAN_LOOP = ["/v1/chat/rooms", "/v1/no/such/path", "/socket.io/?EIO=4&transport=polling"]
CUT_OFF_S = 4.0
SERVED_AS_PAGES = ["/", "/healthz", "/docs", "/openapi.json", "/no/such/page"]


@pytest.fixture(scope="module")
def ann(platform: Platform) -> Person:
    return platform.person("ann")


def bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


def message(text: str) -> bytes:
    return json.dumps({"parts": [{"type": "text", "text": text}]}).encode()


def assert_still_served(connection: Connection, person: Person) -> None:
    """The next request on the same connection gets its own answer, from both halves of the door."""
    assert "rooms" in connection.ask("GET", "/v1/chat/rooms", headers=bearer(person)).json()
    assert connection.ask("GET", "/healthz").status == 200


def test_a_kept_alive_connection_moves_freely_between_api_and_pages(
    connection: Connection, ann: Person
) -> None:
    paths = SERVED_BY_THE_LEAN_LOOP + SERVED_AS_PAGES
    expected: dict[str, Answer] = {}

    for path in itertools.chain.from_iterable(itertools.permutations(paths, 2)):
        answer = connection.ask("GET", path, headers=bearer(ann))
        known = expected.setdefault(path, answer)
        assert answer.status == known.status, path
        assert answer.headers["content-type"] == known.headers["content-type"], path

    assert {path: answer.status for path, answer in expected.items()} == {
        "/v1/chat/rooms": 200,
        "/v1/no/such/path": 404,
        "/socket.io/?EIO=4&transport=polling": 200,
        "/": 200,
        "/healthz": 200,
        "/docs": 200,
        "/openapi.json": 200,
        "/no/such/page": 404,
    }


def test_pipelined_requests_are_answered_each_in_its_turn(
    connection: Connection, platform: Platform, ann: Person
) -> None:
    room = platform.room(ann)
    path = f"/v1/chat/rooms/{room.id}/messages"
    burst = b""
    for number in range(20):
        body = message(str(number))
        burst += connection.head("POST", path, headers=bearer(ann), length=len(body)) + body
        burst += connection.head("GET", "/healthz") + connection.head("GET", "/v1/none")

    # From a thread: a client that only writes may not deadlock with a server that answers.
    writer = threading.Thread(target=connection.send, args=(burst,))
    writer.start()
    answers = [connection.answer() for _ in range(60)]
    writer.join()

    assert [answer.status for answer in answers] == [201, 200, 404] * 20
    assert [a.json()["parts"][0]["text"] for a in answers[::3]] == [str(number) for number in range(20)]


@pytest.mark.parametrize("path", ["/v1/users", "/v1/no/such/path", "/no/such/page", "/healthz"])
@pytest.mark.parametrize("size", [0, 1, 100_000, 1_000_000])
def test_an_early_refusal_of_a_request_with_a_body_leaves_the_connection_usable(
    connection: Connection, ann: Person, path: str, size: int
) -> None:
    answer = connection.ask("POST", path, body=b"x" * size)

    assert answer.status in {401, 404, 405}
    assert_still_served(connection, ann)


def test_a_refusal_for_size_leaves_the_connection_usable(
    connection: Connection, platform: Platform, ann: Person
) -> None:
    room = platform.room(ann)
    body = message("x" * 1_048_576)

    answer = connection.ask("POST", f"/v1/chat/rooms/{room.id}/messages", headers=bearer(ann), body=body)

    assert answer.status == 413
    assert answer.json()["statusCode"] == 413
    assert_still_served(connection, ann)


def test_a_chunked_body_is_read_and_counted(connection: Connection, platform: Platform, ann: Person) -> None:
    room = platform.room(ann)
    path = f"/v1/chat/rooms/{room.id}/messages"
    head = connection.head("POST", path, headers={**bearer(ann), "Transfer-Encoding": "chunked"})
    pieces = [message("in pieces")[start : start + 7] for start in range(0, len(message("in pieces")), 7)]

    for data in [head, *(b"%x;note=1\r\n%s\r\n" % (len(piece), piece) for piece in pieces)]:
        connection.send(data)
    connection.send(b"0\r\nTrailer: yes\r\n\r\n")

    answer = connection.answer()
    assert answer.status == 201, answer
    assert answer.json()["parts"][0]["text"] == "in pieces"
    assert_still_served(connection, ann)


def test_a_chunked_body_over_the_limit_is_413(
    connection: Connection, platform: Platform, ann: Person
) -> None:
    """No length was announced, so the bytes must be counted as they come."""
    room = platform.room(ann)
    path = f"/v1/chat/rooms/{room.id}/messages"
    connection.send(connection.head("POST", path, headers={**bearer(ann), "Transfer-Encoding": "chunked"}))
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"

    def write() -> None:
        try:
            for _ in range(40):
                connection.send(chunk)
            connection.send(b"0\r\n\r\n")
        except OSError:
            pass  # it may close before it has read everything

    writer = threading.Thread(target=write)
    writer.start()
    assert connection.answer().status == 413
    writer.join()


@pytest.mark.parametrize("path", ["/v1/chat/rooms/{room}/messages", "/healthz"])
def test_a_client_that_waits_for_100_continue_is_told_to_go_on(
    connection: Connection, platform: Platform, ann: Person, path: str
) -> None:
    room = platform.room(ann)
    body = message("after the nod")
    target = path.format(room=room.id)
    headers = {**bearer(ann), "Expect": "100-continue"}

    connection.send(connection.head("POST", target, headers=headers, length=len(body)))
    answer = connection.answer()
    if answer.status == 100:
        connection.send(body)
        answer = connection.answer()
        assert answer.status == (201 if target.startswith("/v1") else 405)
        assert_still_served(connection, ann)
    else:
        # Refused without wanting the body: the client will not send it.
        assert not target.startswith("/v1")
        assert answer.status == 405


def test_a_body_that_would_be_too_large_is_refused_before_it_is_sent(
    connection: Connection, ann: Person
) -> None:
    headers = {**bearer(ann), "Expect": "100-continue"}

    connection.send(connection.head("POST", "/v1/chat/rooms", headers=headers, length=10**12))

    assert connection.answer().status in {413, 417}


def test_head_is_answered_like_get_but_without_a_body(connection: Connection, ann: Person) -> None:
    for path in ["/", "/healthz", "/v1/chat/rooms", "/openapi.json", "/v1/none"]:
        whole = connection.ask("GET", path, headers=bearer(ann))
        head = connection.ask("HEAD", path, headers=bearer(ann))
        assert head.status in {whole.status, 405}, path
        if head.status == whole.status:
            assert head.headers["content-type"] == whole.headers["content-type"], path
    assert_still_served(connection, ann)


def test_an_http_1_0_client_is_answered_and_closed(connection: Connection) -> None:
    for path in (b"/healthz", b"/v1/none"):
        fresh = Connection(f"http://{connection.host}")
        fresh.send(b"GET %s HTTP/1.0\r\n\r\n" % path)
        answer = fresh.rest()
        fresh.close()
        assert answer.startswith(b"HTTP/1.")
        assert b'"statusCode":404' in answer or b" 200 " in answer.split(b"\r\n")[0]


def test_connection_close_is_honoured(connection: Connection) -> None:
    for path in ("/v1/none", "/healthz"):
        fresh = Connection(f"http://{connection.host}")
        answer = fresh.ask("GET", path, headers={"Connection": "close"})
        assert answer.status in {200, 404}
        assert fresh.rest() == b"", path
        fresh.close()


MALFORMED = {
    "no version": b"GET /v1/none\r\n\r\n",
    "not http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",
    "space in the target": b"GET /v1/a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "no colon": b"GET /v1/none HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "space before the colon": b"GET /v1/none HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
    "nul in a header": b"GET /v1/none HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "two lengths": b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunked": b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length that is no number": b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n",
    "bad chunk": b"POST /v1/users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "head too long": b"GET /v1/none HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 70_000 + b"\r\n\r\n",
    "target too long": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "two hosts": b"GET /v1/none HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "no host": b"GET /v1/none HTTP/1.1\r\n\r\n",
    "http 3": b"GET /v1/none HTTP/3.0\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_request_is_refused_and_the_connection_ended(connection: Connection, what: str) -> None:
    connection.send(MALFORMED[what])

    answer = connection.rest()

    if answer:
        status = int(answer.split(b" ", 2)[1])
        assert status in {400, 401, 413, 414, 431, 501, 505}, answer
        assert status != 401 or what in {"bad chunk"}, (
            "refused for its credential only: it was taken for well-formed"
        )


GARBAGE = [
    b"\0" * 1_000,
    b"\xff" * 1_000,
    b"\r\n" * 1_000,
    b"GET ",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"A" * 20_000,
]


def test_garbage_of_every_kind_never_hurts_the_next_client(gateway: Gateway, ann: Person) -> None:
    for data in GARBAGE:
        fresh = Connection(gateway.url)
        fresh.send(data)
        fresh.reset()
    fresh = Connection(gateway.url)
    assert_still_served(fresh, ann)
    fresh.close()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose deadlines are short."""
    gateway = Gateway(
        tmp_path_factory.mktemp("impatient") / "data",
        settings={"http": {"head_s": 0.5, "body_s": 0.5, "keep_alive_s": 0.5, "write_s": 1.0}},
    )
    gateway.create_tenant()
    gateway.start()
    yield gateway
    end(gateway)


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"", id="nothing at all"),
        pytest.param(b"GET /v1/none HTTP/1.1\r\nHost: x\r\n", id="half a head"),
        pytest.param(
            b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf", id="half a body"
        ),
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", id="a request, and no other"),
        pytest.param(b"GET /v1/none HTTP/1.1\r\nHost: x\r\n\r\n", id="an api request, and no other"),
    ],
)
def test_a_client_that_takes_its_time_is_cut_off(impatient: Gateway, beginning: bytes) -> None:
    connection = Connection(impatient.url)
    started = time.monotonic()

    connection.send(beginning)
    connection.rest()

    connection.close()
    assert 0.3 < time.monotonic() - started < CUT_OFF_S


def test_a_client_that_trickles_its_head_does_not_win_time_by_it(impatient: Gateway) -> None:
    connection = Connection(impatient.url)
    started = time.monotonic()

    def trickle() -> None:
        try:
            for byte in b"GET /v1/none HTTP/1.1\r\nX: " + b"y" * 10_000:
                connection.send(bytes([byte]))
                stop.wait(0.05)
        except OSError:
            pass  # cut off, as it must be

    stop = threading.Event()
    writer = threading.Thread(target=trickle)
    writer.start()
    connection.rest()
    took = time.monotonic() - started
    stop.set()
    writer.join()
    connection.close()
    assert took < CUT_OFF_S


def test_a_connection_that_served_requests_can_become_a_websocket(
    connection: Connection, ann: Person
) -> None:
    assert_still_served(connection, ann)

    socket = WebSocket(connection, "/socket.io/?EIO=4&transport=websocket")

    handshake = socket.receive()
    assert isinstance(handshake, str)
    assert handshake.startswith('0{"sid":')
    socket.send("2probe")  # a ping of the client's: not for a session of its own, but never a crash
    socket.close()


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Sec-WebSocket-Version": "8"}, id="old version"),
        pytest.param({"Sec-WebSocket-Key": "short"}, id="bad key"),
        pytest.param({"Upgrade": "h2c"}, id="not a websocket"),
    ],
)
def test_a_bad_websocket_handshake_is_refused(connection: Connection, headers: dict[str, str]) -> None:
    with pytest.raises(HandshakeRefused) as refused:
        WebSocket(connection, "/socket.io/?EIO=4&transport=websocket", headers=headers)

    assert refused.value.answer.status in {400, 426}


def test_an_upgrade_to_something_else_is_passed_over(connection: Connection, ann: Person) -> None:
    upgrade = {
        "Upgrade": "h2c",
        "Connection": "Upgrade, HTTP2-Settings",
        "HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA",
    }

    for path in ("/healthz", "/v1/none"):
        answer = connection.ask("GET", path, headers=upgrade)
        assert answer.status == (200 if path == "/healthz" else 404)

    assert_still_served(connection, ann)


def test_a_websocket_is_offered_at_its_own_paths_only(gateway: Gateway) -> None:
    for path in ("/", "/v1/chat/rooms", "/no/such/page", "/socket.ioo/"):
        connection = Connection(gateway.url)
        with pytest.raises((HandshakeRefused, Closed)) as refused:
            WebSocket(connection, path)
        if isinstance(refused.value, HandshakeRefused):
            assert 400 <= refused.value.answer.status < 500 or refused.value.answer.status == 200, path
        connection.close()


def test_foreign_origins_may_open_a_websocket(connection: Connection) -> None:
    socket = WebSocket(
        connection, "/socket.io/?EIO=4&transport=websocket", headers={"Origin": "https://app.example.org"}
    )

    assert socket.handshake.status == 101
