"""Calls over REST that cannot be, and what is said then."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api.openapi import openapi_document
from tests.api.conftest import Gateway
from tests.api.talk import talk


async def test_the_tenant_s_settings_hold(gateway: Gateway) -> None:
    settings = {"maxParticipants": 2, "defaultType": "audio", "ringTimeoutSeconds": 15}
    await gateway.server.patch("/tenant/settings", {"calls": settings})
    group = await talk(gateway, "ann", "bob", "cid")
    started = await group.users["ann"].post(group.calls, {})
    call = started.json["call"]
    assert (call["type"], started.json["ringTimeoutSeconds"]) == ("audio", 15)
    assert gateway.media.rooms == {call["livekitRoomName"]: 2}
    assert (await group.does("bob", "accept", call)).status == 200
    full = await group.does("cid", "accept", call)
    assert (full.status, full.json["code"]) == (409, "call_full")


async def test_calls_that_are_switched_off_are_refused_without_words_of_trouble_with_a_microphone(
    gateway: Gateway,
) -> None:
    both = await talk(gateway, "ann", "bob")
    call = await both.start("ann")
    await gateway.server.patch("/tenant/settings", {"calls": {"enabled": False}})
    paths = ["", *[f"/{call['id']}/{action}" for action in ("accept", "decline", "end", "leave", "token")]]
    for path in paths:
        refused = await both.users["bob"].post(both.calls + path, {})
        assert (refused.status, refused.json["code"]) == (403, "calls_disabled")
        for word in ("notallowed", "permission", "denied", "getusermedia"):
            assert word not in refused.json["error"].lower()
    assert (await both.users["bob"].get(f"{both.calls}/active")).status == 200


async def test_when_the_media_server_is_away_nobody_rings_and_no_answer_is_lost(gateway: Gateway) -> None:
    both = await talk(gateway, "ann", "bob")
    gateway.media.away = True
    refused = await both.users["ann"].post(both.calls, {})
    assert (refused.status, refused.json["code"]) == (503, "calls_unavailable")
    assert refused.headers["Retry-After"] == "5"
    assert both.told() == []
    gateway.media.away = False
    call = await both.start("ann")
    gateway.media.away = True
    assert (await both.does("bob", "accept", call)).status == 503
    assert (await both.users["bob"].get(f"{both.calls}/active")).json["call"]["status"] == "ringing"
    assert (await both.does("bob", "decline", call)).status == 200


async def test_what_is_over_can_be_left_but_not_joined(gateway: Gateway) -> None:
    both = await talk(gateway, "ann", "bob")
    call = await both.start("ann")
    await both.does("ann", "end", call)
    both.told()
    for action in ("accept", "token"):
        over = await both.does("bob", action, call)
        assert (over.status, over.json["code"]) == (409, "call_over")
    for action in ("decline", "end", "leave"):
        assert (await both.does("bob", action, call)).json["status"] == "cancelled"
    assert both.told() == []
    assert len(await both.logs()) == 1


async def test_a_call_is_of_one_room(gateway: Gateway) -> None:
    both = await talk(gateway, "ann", "bob")
    call = await both.start("ann")
    elsewhere = await talk(gateway, "ann", "bob")
    answer = await elsewhere.does("bob", "accept", call)
    assert (answer.status, answer.json["error"]) == (404, "There is no such call.")
    assert (await both.does("bob", "accept", {"id": "%00"})).status == 404


async def test_nobody_calls_himself(gateway: Gateway) -> None:
    alone = await talk(gateway, "ann")
    answer = await alone.users["ann"].post(alone.calls, {})
    assert (answer.status, answer.json["code"]) == (409, "nobody_to_call")
    assert gateway.media.rooms == {}


async def test_calls_are_started_no_more_often_than_the_limit(gateway: Gateway) -> None:
    both = await talk(gateway, "ann", "bob")
    statuses = [(await both.users["ann"].post(both.calls, {})).status for _ in range(22)]
    assert statuses[-1] == 429
    assert set(statuses[:-2]) == {201, 200}
    call = (await both.users["ann"].get(f"{both.calls}/active")).json["call"]
    tokens = [(await both.does("ann", "token", call)).status for _ in range(32)]
    assert (tokens[0], tokens[-1]) == (200, 429)


@pytest.mark.parametrize(
    ("path", "body"),
    [("", {"type": "hologram"}), ("", b"["), ("/x/end", {"reason": "bored"}), ("?", b"\xff")],
)
async def test_what_is_malformed_is_refused(gateway: Gateway, path: str, body: Any) -> None:
    both = await talk(gateway, "ann", "bob")
    answer = await both.users["ann"].post(both.calls + path, body)
    assert answer.status == 400
    assert answer.json.keys() == {"statusCode", "error", "message", "code"}


def test_the_document_says_what_a_call_may_answer() -> None:
    document = openapi_document(version="1", server_url=None)
    operation = document["paths"]["/v1/chat/rooms/{roomId}/calls/{callId}/accept"]["post"]
    assert {"200", "401", "403", "404", "409", "503"} <= operation["responses"].keys()
