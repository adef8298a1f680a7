from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.chat.parts import MAX_PARTS, PREVIEW_CHARACTERS, read_parts
from gateway.errors import InvalidRequest


def preview(*parts: dict[str, Any]) -> str | None:
    return read_parts(json.dumps(parts).encode(), by_server=True).preview_text


def stored(*parts: dict[str, Any]) -> Any:
    return json.loads(read_parts(json.dumps(parts).encode(), by_server=False).json)


def refusal(parts: Any, *, by_server: bool = False) -> str:
    with pytest.raises(InvalidRequest) as refused:
        read_parts(json.dumps(parts).encode(), by_server=by_server)
    return refused.value.message


class TestWhatIsKept:
    def test_unknown_types_and_keys_pass_byte_for_byte(self) -> None:
        written = b'[ {"type":"data-poll", "data":{"n":1.50,"big":123456789012345678901}, "x":[null,{"y":"\\u00e9"}]} ]'
        assert read_parts(written, by_server=False).json == written

    def test_signed_urls_are_dropped_from_an_uploaded_file_and_nothing_else_is(self) -> None:
        part = {
            "type": "file",
            "uploadId": "up-1",
            "url": "https://x.example/1?sig=a",
            "accessUrl": "https://x.example/1?sig=a",
            "accessUrlExpiresAt": "2026-01-01T11:00:00.000Z",
            "mediaType": "image/png",
            "filename": "cat.png",
            "width": 12.5,
        }
        text = {"type": "text", "text": "look", "url": "https://stays.example"}
        assert stored(part, text) == [
            {
                "type": "file",
                "uploadId": "up-1",
                "mediaType": "image/png",
                "filename": "cat.png",
                "width": 12.5,
            },
            text,
        ]

    def test_the_url_of_a_file_hosted_elsewhere_stays(self) -> None:
        part = {
            "type": "file",
            "url": "https://img.example/cat.png",
            "mediaType": "image/*",
            "uploadId": None,
        }
        assert stored(part) == [part]


class TestWhatIsRefused:
    @pytest.mark.parametrize("key", ["type", "text", "mediaType", "url", "uploadId", "filename", "accessUrl"])
    def test_a_known_key_that_is_no_string_is_named(self, key: str) -> None:
        assert f"parts[1].{key}" in refusal([{"type": "text", "text": "a"}, {"type": "text", key: 7}])

    def test_known_keys_may_be_null(self) -> None:
        assert stored({"type": "text", "text": None, "url": None})

    @pytest.mark.parametrize(
        "parts", [[], {}, "text", None, 3, ["text"], [None], [[]], [{}], [{"type": None}]]
    )
    def test_what_is_no_list_of_parts(self, parts: Any) -> None:
        assert "parts" in refusal(parts)

    def test_more_parts_than_the_bound(self) -> None:
        stored(*[{"type": "text", "text": "a"}] * MAX_PARTS)
        assert str(MAX_PARTS) in refusal([{"type": "text", "text": "a"}] * (MAX_PARTS + 1))

    @pytest.mark.parametrize("kind", ["data-call", "data-membership"])
    def test_a_user_cannot_forge_what_the_server_makes(self, kind: str) -> None:
        forged = [{"type": "text", "text": "hi"}, {"type": kind, "data": {}}]
        assert kind in refusal(forged)
        assert read_parts(json.dumps(forged).encode(), by_server=True).json

    def test_a_type_written_twice_counts_as_clients_read_it(self) -> None:
        with pytest.raises(InvalidRequest):
            read_parts(b'[{"type":"text","type":"data-call"}]', by_server=False)

    def test_json_nested_without_end(self) -> None:
        deep = b'[{"type":"text","text":' + b"[" * 100_000 + b"]" * 100_000 + b"}]"
        with pytest.raises(InvalidRequest):
            read_parts(deep, by_server=False)


class TestPreview:
    def test_text_parts_are_joined_by_newlines_and_trimmed(self) -> None:
        assert (
            preview({"type": "text", "text": " a "}, {"type": "x"}, {"type": "text", "text": "b\n"})
            == "a \nb"
        )

    def test_text_goes_before_the_file_it_comes_with(self) -> None:
        assert preview({"type": "file", "mediaType": "image/png"}, {"type": "text", "text": "look"}) == "look"

    def test_a_nul_is_shown_as_what_cannot_be_shown(self) -> None:
        assert preview({"type": "text", "text": "a\0b"}) == "a\ufffdb"
        assert preview({"type": "file", "filename": "a\0.pdf"}) == "a\ufffd.pdf"

    def test_long_text_is_cut(self) -> None:
        assert preview({"type": "text", "text": "é" * 1_000}) == "é" * PREVIEW_CHARACTERS

    @pytest.mark.parametrize(
        ("media_type", "line"),
        [
            ("image/png", "Photo"),
            ("IMAGE/*", "Photo"),
            ("video/mp4", "Video"),
            ("audio/webm;codecs=opus", "Audio"),
            ("application/pdf", "plan.pdf"),
            (None, "plan.pdf"),
        ],
    )
    def test_a_file_alone_says_what_it_is(self, media_type: str | None, line: str) -> None:
        assert preview({"type": "file", "mediaType": media_type, "filename": "plan.pdf"}) == line

    def test_nothing_to_say_is_null(self) -> None:
        assert preview({"type": "text", "text": "  "}) is None
        assert preview({"type": "data-poll", "data": {"question": "?"}}) is None
        assert preview({"type": "file"}) is None

    @pytest.mark.parametrize(
        ("call", "line"),
        [
            ({"outcome": "completed", "durationSeconds": 7}, "Voice call · 0:07"),
            ({"outcome": "completed", "durationSeconds": 59.4, "callType": "video"}, "Video call · 0:59"),
            ({"outcome": "completed", "durationSeconds": 61}, "Voice call · 1 min"),
            ({"outcome": "completed", "durationSeconds": 200}, "Voice call · 3 min"),
            ({"outcome": "completed"}, "Voice call"),
            ({"outcome": "completed", "isGroup": True}, "Group Voice call"),
            ({"outcome": "declined", "isGroup": True, "callType": "video"}, "Group Video call declined"),
            ({"outcome": "cancelled", "isGroup": True}, "Call cancelled"),
            ({"outcome": "missed", "isGroup": True}, "Missed voice call"),
            ({"outcome": "missed", "callType": "video"}, "Missed video call"),
        ],
    )
    def test_a_call_log_reads_as_in_the_inbox(self, call: dict[str, Any], line: str) -> None:
        data = {"callId": "c", "callType": "audio", "initiatedByUserId": "ann", "isGroup": False, **call}
        assert preview({"type": "data-call", "data": data}) == line

    def test_a_call_log_that_clients_would_not_recognise_has_no_line(self) -> None:
        assert preview({"type": "data-call", "data": {"callId": "c", "outcome": "missed"}}) is None
        assert preview({"type": "data-call"}) is None

    @pytest.mark.parametrize(
        ("action", "line"),
        [("joined", "bob joined"), ("left", "bob left"), ("removed", "ann removed bob")],
    )
    def test_a_membership_change_reads_as_in_the_inbox(self, action: str, line: str) -> None:
        data = {"action": action, "actorUserId": "ann", "targetUserId": "bob"}
        assert preview({"type": "data-membership", "data": data}) == line
