"""What a file may be."""

from __future__ import annotations

import pytest

from gateway.chat.media import FILENAME_CHARACTERS, bare_type, file_name, is_inline, require_allowed
from gateway.chat.settings import MediaSettings
from gateway.errors import Forbidden, InvalidRequest, TooLarge, UnsupportedMediaType


def allow(media_type: str, *allowed: str) -> None:
    media = MediaSettings(allowed_mime_types=allowed)
    require_allowed(media, media_type=media_type, size_bytes=1, most_bytes=10)


@pytest.mark.parametrize(
    ("media_type", "allowed"),
    [
        ("image/png", "*/*"),
        ("image/png", "image/*"),
        ("IMAGE/PNG", "image/png"),
        ("image/png", " Image/PNG "),
        ("audio/webm;codecs=opus", "audio/webm"),
        ("audio/webm; codecs=opus", "audio/*"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/*"),
    ],
)
def test_types_are_matched_without_their_parameters(media_type: str, allowed: str) -> None:
    allow(media_type, "text/css", allowed)


@pytest.mark.parametrize(
    ("media_type", "allowed"),
    [("image/png", "image/jpeg"), ("imagex/png", "image/*"), ("image/png", "image"), ("image/png", "")],
)
def test_other_types_are_refused(media_type: str, allowed: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        allow(media_type, allowed)


@pytest.mark.parametrize(
    "media_type", ["", "image", "image/", "/png", "a/b\r\nX: y", "image/*", "a/b; é", "a b/c"]
)
def test_what_is_no_media_type_is_refused(media_type: str) -> None:
    with pytest.raises(InvalidRequest):
        bare_type(media_type)


def test_images_have_a_limit_of_their_own_and_the_gateway_one_for_all() -> None:
    media = MediaSettings(max_file_size_bytes=100, max_image_size_bytes=50)
    for media_type, limit, most in (
        ("image/png", 50, 1_000),
        ("video/mp4", 100, 1_000),
        ("video/mp4", 70, 70),
    ):
        require_allowed(media, media_type=media_type, size_bytes=limit, most_bytes=most)
        with pytest.raises(TooLarge):
            require_allowed(media, media_type=media_type, size_bytes=limit + 1, most_bytes=most)


def test_a_tenant_may_take_no_files() -> None:
    with pytest.raises(Forbidden):
        require_allowed(MediaSettings(enabled=False), media_type="image/png", size_bytes=1, most_bytes=10)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("cat.png", "cat.png"),
        ("Straße 数.png", "Straße 数.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\cat.png", "cat.png"),
        ("a\r\nSet-Cookie: x", "aSet-Cookie: x"),
        ("gnp.\u202etac.exe", "gnp.tac.exe"),
        ("gnp\u200f.\u061ctac\u2066.exe", "gnp.tac.exe"),
        ("  .. ", "file"),
        ("", "file"),
        ("x" * 300, "x" * FILENAME_CHARACTERS),
        ("x" * 300 + ".jpeg", "x" * (FILENAME_CHARACTERS - 5) + ".jpeg"),
    ],
)
def test_a_name_has_no_path_and_deceives_nobody(given: str, kept: str) -> None:
    assert file_name(given) == kept


@pytest.mark.parametrize(
    ("media_type", "inline"),
    [
        *[(kind, True) for kind in ("image/png", "video/mp4", "audio/webm;codecs=opus", "application/pdf")],
        *[(kind, False) for kind in ("text/html", "image/svg+xml", "IMAGE/SVG+XML;x=y", "application/xml")],
        *[(kind, False) for kind in ("text/javascript", "application/octet-stream", "multipart/related")],
    ],
)
def test_only_what_cannot_run_is_shown_by_browsers(media_type: str, inline: bool) -> None:
    assert is_inline(media_type) is inline
