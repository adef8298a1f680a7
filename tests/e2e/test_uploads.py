"""Files over real HTTP, in a folder and in S3: straight from a client, in ranges, and nothing left of what fails."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.e2e.conftest import Opener, end
from tests.support.platform import Person, Platform
from tests.support.process import Gateway
from tests.support.raw import Closed, Connection
from tests.support.s3 import S3Server

SILENT_S = 1.5
LARGE = 64 * 1024 * 1024


class Home:
    """A gateway, and where its files arrive."""

    def __init__(self, gateway: Gateway, platform: Platform) -> None:
        self.gateway = gateway
        self.platform = platform

    def arriving(self) -> list[str]:
        folder = self.gateway.data / "uploads" / "arriving"
        return os.listdir(folder) if folder.exists() else []

    def peak_bytes(self) -> int:
        """The most memory that the process has ever had."""
        status = Path(f"/proc/{self.gateway.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.fixture(scope="module", params=["folder", "s3"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    settings: dict[str, Any] = {"http": {"body_s": SILENT_S}, "uploads": {}}
    s3 = S3Server() if request.param == "s3" else None
    if s3 is not None:
        bucket = s3.bucket("files")
        given = {name: getattr(bucket, name) for name in bucket.__struct_fields__}
        settings["uploads"]["s3"] = {name: value for name, value in given.items() if value}
    gateway = Gateway(tmp_path_factory.mktemp("uploads") / "data", settings=settings)
    keys = gateway.create_tenant()
    gateway.start()
    platform = Platform(gateway.url, keys.api_key)
    media = {"maxFileSizeBytes": LARGE}
    assert platform.rest.request("PATCH", "/tenant/settings", {"chat": {"media": media}}).is_success
    yield Home(gateway, platform)
    platform.close()
    end(gateway)
    if s3 is not None:
        s3.stop()


@pytest.fixture
def ann(home: Home) -> Person:
    return home.platform.person("ann")


@pytest.fixture
def wire(home: Home) -> Iterator[Connection]:
    connection = Connection(home.gateway.url)
    yield connection
    connection.close()


def announce(person: Person, size: int, media_type: str = "video/mp4", name: str = "clip.mp4") -> Any:
    answer = person.rest.post(
        "/chat/uploads/presign", {"filename": name, "mediaType": media_type, "sizeBytes": size}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def upload(person: Person, data: bytes, media_type: str = "video/mp4", name: str = "clip.mp4") -> str:
    """A completed upload; returns its id."""
    announced = announce(person, len(data), media_type, name)
    sent = httpx2.put(
        announced["uploadUrl"], content=data, headers={"content-type": media_type}, trust_env=False
    )
    assert sent.status_code == 200, sent.text
    path = f"/chat/uploads/{announced['uploadId']}"
    assert person.rest.post(f"{path}/complete", {}).json()["status"] == "completed"
    return str(announced["uploadId"])


def address(person: Person, upload_id: str) -> str:
    return str(person.rest.get(f"/chat/uploads/{upload_id}/access").json()["accessUrl"])


def get(url: str, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.get(url, headers=named, trust_env=False)


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def test_a_picture_is_sent_and_every_device_can_open_it(home: Home, ann: Person, device: Opener) -> None:
    bob = home.platform.person("bob")
    room = home.platform.room(ann, bob)
    devices = [device(bob), device(bob), device(ann)]
    upload_id = upload(ann, b"\x89PNG picture", "image/png", "cat.png")
    part = {"type": "file", "uploadId": upload_id, "mediaType": "image/png", "filename": "cat.png"}
    sent = ann.rest.post(f"/chat/rooms/{room.id}/messages", {"parts": [part]}).json()

    heard = [one.inbox.take("new-message") for one in devices]

    for message in [sent, *heard]:
        shown = message["parts"][0]
        assert shown["url"] == shown["accessUrl"]
        assert get(shown["accessUrl"]).content == b"\x89PNG picture"
    assert bob.rest.get(f"/chat/uploads/{upload_id}/access").is_success
    assert home.platform.person("eve").rest.get(f"/chat/uploads/{upload_id}/access").status_code == 404


def test_players_get_the_ranges_they_ask_for(ann: Person) -> None:
    data = bytes(range(256)) * 8_192
    url = address(ann, upload(ann, data))

    whole = get(url)
    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["accept-ranges"] == "bytes"
    etag = whole.headers["etag"]
    for asked, first, last in [
        ("bytes=0-", 0, len(data) - 1),
        ("bytes=100-199", 100, 199),
        ("bytes=1048500-1048700", 1_048_500, 1_048_700),
        ("bytes=-10", len(data) - 10, len(data) - 1),
        ("bytes=2097000-9999999", 2_097_000, len(data) - 1),
    ]:
        part = get(url, range=asked)
        assert part.status_code == 206, asked
        assert part.content == data[first : last + 1]
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(data)}"
        assert get(url, range=asked, if_range=etag).status_code == 206
        assert get(url, range=asked, if_range='"another"').content == data
    beyond = get(url, range=f"bytes={len(data)}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(data)}")
    for ignored in ("bytes=0-9,20-29", "lines=1-2", "nonsense"):
        assert get(url, range=ignored).status_code == 200, ignored
    assert get(url, if_none_match=etag).status_code == 304


def test_head_tells_of_a_file_without_sending_it(ann: Person, wire: Connection) -> None:
    url = address(ann, upload(ann, b"x" * 1_000))
    for _ in range(2):  # on one connection: nothing of the file may follow
        wire.send(wire.head("HEAD", path_of(url)))
        answer = wire.answer(head_only=True)
        assert (answer.status, answer.headers["content-length"]) == (200, "1000")


@pytest.mark.parametrize(
    "media_type", ["text/html", "image/svg+xml", "text/javascript", "application/pdf-not"]
)
def test_what_could_run_in_a_browser_is_saved_and_not_shown(ann: Person, media_type: str) -> None:
    answer = get(address(ann, upload(ann, b"<script>alert(1)</script>", media_type, 'x"\u00e9.html')))

    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''x%22%C3%A9.html"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_a_url_that_was_changed_opens_nothing(home: Home, ann: Person) -> None:
    one, other = upload(ann, b"one"), upload(ann, b"other")
    url = address(ann, one)
    for forged in (
        url.replace(one, other),
        url.replace("expires=1", "expires=2"),
        url[:-1] + ("A" if url[-1] != "A" else "B"),
        url.partition("?")[0],
        announce(ann, 3)["uploadUrl"],
    ):
        assert get(forged).status_code == 403
    assert httpx2.put(url, content=b"own", trust_env=False).status_code == 403


def test_another_origin_may_send_and_read(ann: Person) -> None:
    url = announce(ann, 3)["uploadUrl"]
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    allowed = httpx2.request("OPTIONS", url, headers=asked, trust_env=False)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "*"
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    assert "Content-Type" in allowed.headers["access-control-allow-headers"]
    refused = httpx2.put(url, content=b"four", trust_env=False)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (413, "*")


def test_a_connection_goes_on_after_a_file_and_takes_nothing_of_what_follows(
    ann: Person, wire: Connection
) -> None:
    data = b"0123456789" * 30_000
    files = [announce(ann, len(data)) for _ in range(2)]
    burst = b""
    for announced in files:
        burst += wire.head("PUT", path_of(announced["uploadUrl"]), length=len(data)) + data
        burst += wire.head("GET", "/healthz") + wire.head("GET", "/v1/none")
    writer = threading.Thread(target=wire.send, args=(burst,))
    writer.start()
    statuses = [wire.answer().status for _ in range(6)]
    writer.join()
    assert statuses == [200, 200, 404] * 2


def test_a_file_that_is_too_long_is_refused_while_it_comes_and_leaves_nothing(
    home: Home, ann: Person, wire: Connection
) -> None:
    announced = announce(ann, 1_000)
    wire.send(wire.head("PUT", path_of(announced["uploadUrl"]), headers={"Transfer-Encoding": "chunked"}))
    wire.send(b"3e9\r\n" + b"x" * 1_001 + b"\r\n0\r\n\r\n")
    assert wire.answer().status == 413
    assert home.arriving() == []
    completed = ann.rest.post(f"/chat/uploads/{announced['uploadId']}/complete", {})
    assert completed.status_code == 409


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(
    home: Home, ann: Person, wire: Connection
) -> None:
    announced = announce(ann, 1_000_000)
    wire.send(wire.head("PUT", path_of(announced["uploadUrl"]), length=1_000_000) + b"x" * 600_000)
    until(lambda: len(home.arriving()) == 1)
    wire.close()
    until(lambda: home.arriving() == [])
    assert ann.rest.post(f"/chat/uploads/{announced['uploadId']}/complete", {}).status_code == 409


def test_a_client_that_falls_silent_is_told_and_cut_off(home: Home, ann: Person, wire: Connection) -> None:
    announced = announce(ann, 1_000)
    wire.send(wire.head("PUT", path_of(announced["uploadUrl"]), length=1_000) + b"x" * 10)
    assert wire.answer().status == 408
    with pytest.raises(Closed):
        wire.answer()
    assert home.arriving() == []


def test_a_large_file_is_never_in_memory_whole(home: Home, ann: Person) -> None:
    upload(ann, b"warm")
    before = home.peak_bytes()
    data = os.urandom(1024) * (LARGE // 1024)
    url = address(ann, upload(ann, data))
    with httpx2.stream("GET", url, trust_env=False) as answer:
        assert sum(len(chunk) for chunk in answer.iter_bytes()) == LARGE
    assert home.peak_bytes() - before < LARGE // 2


def test_many_send_and_read_at_once(ann: Person) -> None:
    failures: list[object] = []

    def one(number: int) -> None:
        data = bytes([number]) * 700_000
        try:
            assert get(address(ann, upload(ann, data))).content == data
        except Exception as error:  # to the thread that asserts
            failures.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def until(holds: Any) -> None:
    """Wait for what the server does by itself."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
