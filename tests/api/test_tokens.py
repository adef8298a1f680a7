"""Tokens taken apart by hand, beside the library that makes them: what it refuses is refused here too."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.api.tokens import ALGORITHM, Claims, SignedToken

SECRET = b"s" * 64  # long enough for the library to sign with any algorithm
CLAIMS = Claims(sub="ann", tid="acme", jti="j", iat=1_800_000_000, exp=1_800_003_600)
PAYLOAD = msgspec.json.encode(CLAIMS)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def made(alg: str = ALGORITHM, secret: Any = SECRET, **headers: Any) -> str:
    """A token by the library."""
    return jwt.PyJWS().encode(PAYLOAD, secret, alg, headers={"kid": "acme", **headers})


def segment(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def signed(head: str, payload: str = segment(PAYLOAD)) -> str:
    """A token of segments as they are, with the signature that this takes."""
    mac = hmac.digest(SECRET, f"{head}.{payload}".encode(), "sha256")
    return f"{head}.{payload}.{segment(mac)}"


def ours(token: str) -> Claims | None:
    try:
        return SignedToken(token).claims(SECRET)
    except (ValueError, RecursionError):
        return None


def theirs(token: str) -> Claims | None:
    try:
        return msgspec.json.decode(jwt.PyJWS().decode(token, SECRET, [ALGORITHM]), type=Claims)
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None


GOOD = made()
HEAD, BODY, MAC = GOOD.split(".")

places = st.integers(0, len(GOOD))
junk = st.sampled_from([".", "..", "=", "==", " ", "\n", "\t", "\0", "+", "/", "é", "A", "AA", "AAAA"])


def test_a_good_token_says_what_it_was_made_with() -> None:
    assert SignedToken(GOOD).kid == "acme"
    assert ours(GOOD) == theirs(GOOD) == CLAIMS
    assert ours(made(typ="at+jwt", n=[1, {"é": None}])) == CLAIMS


def test_no_character_can_be_another() -> None:
    for place, was in enumerate(GOOD):
        for other in (*ALPHABET, ".", "=", " "):
            if other != was:
                # Not even the last, of which two bits say nothing.
                assert ours(GOOD[:place] + other + GOOD[place + 1 :]) is None


@given(place=places, more=junk, less=st.integers(0, 4))
@example(place=0, more="", less=len(HEAD))
def test_nothing_can_be_put_in_or_left_out(place: int, more: str, less: int) -> None:
    token = GOOD[:place] + more + GOOD[place + less :]
    assert (ours(token) is None) or token == GOOD
    assert (ours(token) is None) or theirs(token) == CLAIMS


@pytest.mark.parametrize(
    "token",
    [
        made("none", ""),
        made("HS512"),
        made("HS384"),
        signed(segment(b'{"alg":"none","kid":"acme"}')),
        signed(segment(b'{"alg":"RS256","kid":"acme"}')),
        signed(segment(b'{"alg":"hs256","kid":"acme"}')),
        signed(segment(b'{"kid":"acme"}')),
        f"{HEAD}.{BODY}.",
        f"{HEAD}.{BODY}",
        f"{HEAD}.{BODY}.{MAC}.",
        f"{HEAD}.{BODY}.{MAC}.{MAC}",
        f".{HEAD}.{BODY}.{MAC}",
        f"{BODY}.{HEAD}.{MAC}",
        made(secret=b"t" * 64),
    ],
)
def test_another_algorithm_or_no_signature_is_refused(token: str) -> None:
    assert theirs(token) is None
    assert ours(token) is None


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "crit", "b64", "typ"]),
        st.sampled_from(["HS256", "HS512", "none", "b64", "", None, True, False, 7, [], ["b64"], ["x"], {}]),
    ),
    st.sampled_from([b"", b" ", b"}", b",", b"\xff", b"\0"]),
)
def test_a_signature_does_not_mend_what_the_library_would_not_take(
    changes: dict[str, Any], tail: bytes
) -> None:
    header = {"alg": ALGORITHM, "kid": "acme", **changes}
    token = signed(segment(msgspec.json.encode(header) + tail))
    assert ours(token) in (None, theirs(token))


@pytest.mark.parametrize(
    "header", [{"crit": ["x"]}, {"crit": []}, {"crit": None}, {"b64": True}, {"b64": None}], ids=str
)
def test_what_would_be_read_in_another_way_is_refused(header: dict[str, Any]) -> None:
    assert ours(signed(segment(msgspec.json.encode({"alg": ALGORITHM, "kid": "acme", **header})))) is None


@given(st.sampled_from(["head", "payload"]), st.integers(0, 20), junk)
def test_a_signature_does_not_mend_what_is_not_base64(where: str, place: int, more: str) -> None:
    mangled = {"head": HEAD, "payload": BODY}
    mangled[where] = mangled[where][:place] + more + mangled[where][place:]
    token = signed(mangled["head"], mangled["payload"])
    assert ours(token) in (None, theirs(token))


def test_a_segment_has_one_form() -> None:
    body = segment(PAYLOAD + b" " * ((1 - len(PAYLOAD)) % 3))
    assert len(body) % 4 == 2  # so that four bits of the last character say nothing
    other = body[:-1] + ALPHABET[ALPHABET.index(body[-1]) + 1]
    assert ours(signed(HEAD, body)) == CLAIMS
    assert ours(signed(HEAD, other)) is theirs(signed(HEAD, other)) is None
