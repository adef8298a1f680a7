"""URLs of files: what they let one do, for how long, and where they stand in messages."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.chat.links import WINDOW_S, Link, Links, Use, marked
from gateway.errors import Forbidden

ORIGIN = "https://chat.example.org"
ONE, OTHER = "01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000002"


class Clock:
    def __init__(self) -> None:
        self.now = 1_767_261_600.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def links(clock: Clock) -> Links:
    return Links(key=b"k" * 32, public_url=None, access_s=3_600, clock=clock)


def query(link: Link) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(link.url).query).items()}


class TestTheirRight:
    def test_a_url_is_good_until_it_ends(self, links: Links, clock: Clock) -> None:
        said = query(links.to_get(ONE, origin=ORIGIN))
        assert links.require("get", ONE, **said) > 3_600
        clock.now = float(said["expires"])
        with pytest.raises(Forbidden) as refused:
            links.require("get", ONE, **said)
        assert refused.value.code == "link_expired"

    def test_it_lives_longer_than_clients_need_whenever_it_was_made(self, links: Links, clock: Clock) -> None:
        for second in range(0, 2 * WINDOW_S, 7):
            clock.now = 1_767_261_600 + second
            left = links.to_get(ONE, origin=ORIGIN).expires_at / 1000 - clock.now
            assert 3_600 < left <= 3_600 + WINDOW_S

    def test_a_file_keeps_its_url_for_a_while_so_that_browsers_keep_the_file(
        self, links: Links, clock: Clock
    ) -> None:
        clock.now = 1_767_261_600 // WINDOW_S * WINDOW_S
        first = links.to_get(ONE, origin=ORIGIN)
        clock.now += WINDOW_S - 1
        assert links.to_get(ONE, origin=ORIGIN) == first

    @pytest.mark.parametrize(
        ("use", "upload_id", "change"),
        [
            ("put", ONE, {}),
            ("get", OTHER, {}),
            ("get", ONE, {"expires": "9999999999"}),
            ("get", ONE, {"expires": "01767265200"}),
            ("get", ONE, {"expires": "-1"}),
            ("get", ONE, {"expires": ""}),
            ("get", ONE, {"expires": "\u0661"}),
            ("get", ONE, {"expires": "9" * 5_000}),
            ("get", ONE, {"signature": ""}),
            ("get", ONE, {"signature": "A" * 32}),
            ("get", ONE, {"signature": "\u00e9"}),
        ],
    )
    def test_nothing_of_it_can_be_changed(
        self, links: Links, use: Use, upload_id: str, change: dict[str, str]
    ) -> None:
        said = query(links.to_get(ONE, origin=ORIGIN)) | change
        with pytest.raises(Forbidden) as refused:
            links.require(use, upload_id, **said)
        assert refused.value.code == "link_invalid"

    def test_another_installation_has_another_key(self, links: Links, clock: Clock) -> None:
        other = Links(key=b"o" * 32, public_url=None, access_s=3_600, clock=clock)
        with pytest.raises(Forbidden):
            other.require("get", ONE, **query(links.to_get(ONE, origin=ORIGIN)))

    def test_a_url_to_write_ends_when_the_upload_does(self, links: Links, clock: Clock) -> None:
        link = links.to_put(ONE, until_ms=1_767_261_900_999, origin=ORIGIN)
        assert link.expires_at == 1_767_261_900_000
        assert links.require("put", ONE, **query(link)) == 300


class TestTheirAddress:
    @pytest.mark.parametrize(
        "origin", ["https://chat.example.org", "http://127.0.0.1:3001", "http://[::1]:3001", "https://a-b.c"]
    )
    def test_it_is_where_the_request_came_to(self, links: Links, origin: str) -> None:
        assert links.to_get(ONE, origin=origin).url.startswith(f"{origin}/files/{ONE}?")

    @pytest.mark.parametrize(
        "origin",
        ["http://", "http://a b", 'http://a"><script>', "http://a/b", "http://a@b", "javascript://a", ""],
    )
    def test_what_can_be_no_address_gets_into_no_url(self, links: Links, origin: str) -> None:
        assert links.to_get(ONE, origin=origin).url.startswith(f"/files/{ONE}?")

    def test_the_public_url_goes_before_what_a_request_claims(self, clock: Clock) -> None:
        links = Links(key=b"k" * 32, public_url="https://public.example/", access_s=3_600, clock=clock)
        assert links.to_get(ONE, origin="http://evil").url.startswith(f"https://public.example/files/{ONE}?")


FILE = {"type": "file", "uploadId": ONE, "mediaType": "image/png", "filename": "a.png", "x": 1.50}


class TestInMessages:
    def shown(self, links: Links, value: Any) -> Any:
        kept = json.dumps(value).encode().replace(b'"parts": [', b'"parts": [\t')
        return json.loads(links.shown(kept, origin=ORIGIN))

    def test_an_uploaded_file_gets_all_that_clients_look_for(self, links: Links) -> None:
        message = {"id": "m", "parts": [FILE, {"type": "text", "text": "hi"}], "createdAt": "x"}
        link = links.to_get(ONE, origin=ORIGIN)
        shown = self.shown(links, message)
        assert shown == {
            **message,
            "parts": [
                {
                    **FILE,
                    "url": link.url,
                    "accessUrl": link.url,
                    "accessUrlExpiresAt": shown["parts"][0]["accessUrlExpiresAt"],
                },
                {"type": "text", "text": "hi"},
            ],
        }
        assert shown["parts"][0]["accessUrlExpiresAt"].endswith(".000Z")

    def test_so_do_those_of_the_message_replied_to_and_of_every_message_of_a_page(self, links: Links) -> None:
        reply = {"id": "r", "parts": [{"type": "text"}], "parentMessage": {"id": "m", "parts": [FILE]}}
        page = {"messages": [{"id": "t", "parts": [], "parentMessage": None}, reply], "nextCursor": None}
        shown = self.shown(links, page)
        assert shown["messages"][0] == page["messages"][0]  # type: ignore[index]
        assert "accessUrl" in shown["messages"][1]["parentMessage"]["parts"][0]

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "data-x", "uploadId": ONE},
            {"type": "file", "uploadId": None, "url": "https://elsewhere"},
            {"type": "file", "uploadId": "../../etc/passwd"},
            {"type": "data-y", "data": {"type": "file", "uploadId": ONE}},
            {"type": "text", "text": f'"uploadId":"{ONE}"'},
        ],
    )
    def test_nothing_else_does(self, links: Links, part: dict[str, Any]) -> None:
        message = {"id": "m", "parts": [part]}
        assert self.shown(links, message) == message

    @pytest.mark.parametrize(
        "body",
        [
            b'{"uploadId":"x"}',
            b'{"parts":[]}',
            b"{}",
            b'{"messages":[]}',
            b"[1]",
        ],
    )
    def test_what_has_no_file_comes_back_as_it_is(self, links: Links, body: bytes) -> None:
        assert links.shown(body, origin=ORIGIN) == body

    def test_the_mark_is_a_blank_to_whoever_reads_the_parts_as_they_are_kept(self) -> None:
        assert json.loads(marked(b'[{"type":"file"}]')) == [{"type": "file"}]

    def test_parts_that_a_client_wrote_with_tabs_are_no_trouble(self, links: Links) -> None:
        written = b'{"parts":[\t{\t"type":"text"}],"parentMessage":null}'
        assert json.loads(links.shown(written, origin=ORIGIN)) == json.loads(written)
