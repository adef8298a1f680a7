"""Files over REST: announced, completed, shown in every message that leaves, read by who may (contract 2.5)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from gateway.errors import Conflict, Forbidden, InvalidRequest, NotFound, TooLarge
from tests.api.conftest import Client, Gateway

PNG = b"\x89PNG picture"


def file(upload_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "file", "uploadId": upload_id, "mediaType": "image/png", "filename": "cat.png", **more}


async def presign(client: Client, **fields: Any) -> Any:
    body = {"filename": "cat.png", "mediaType": "image/png", "sizeBytes": len(PNG), **fields}
    return await client.post("/chat/uploads/presign", body)


async def content(gateway: Gateway, url: str) -> bytes:
    """What a signed URL opens."""
    path, _, query = url.partition("?")
    said = dict(pair.split("=") for pair in query.split("&"))
    found = await gateway.uploads.open(path.rpartition("/")[2], **said)
    async with gateway.uploads.read(found, begin=0, end=found.upload.size_bytes) as chunks:
        return b"".join([chunk async for chunk in chunks])


class TestSending:
    async def test_a_file_is_announced_sent_completed_and_read(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        announced = await presign(ann, mediaType="audio/webm;codecs=opus", filename="../voice.webm")
        assert announced.status == 201
        assert announced.json.keys() == {"uploadId", "uploadUrl", "method", "uploadUrlExpiresAt"}
        assert announced.json["method"] == "PUT"
        await gateway.put(announced.json["uploadUrl"], PNG[:4], PNG[4:], length=len(PNG))
        path = f"/chat/uploads/{announced.json['uploadId']}"
        completed = await ann.post(f"{path}/complete", {})
        assert completed.json == {
            "uploadId": announced.json["uploadId"],
            "status": "completed",
            "filename": "voice.webm",
            "mediaType": "audio/webm;codecs=opus",
            "sizeBytes": len(PNG),
        }
        access = await ann.get(f"{path}/access")
        assert access.json.keys() == {"uploadId", "accessUrl", "accessUrlExpiresAt"}
        assert await content(gateway, access.json["accessUrl"]) == PNG

    async def test_urls_name_the_address_that_was_asked(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        ann.headers = {**ann.headers, "host": "chat.example.org:3001"}
        assert (await presign(ann)).json["uploadUrl"].startswith("http://chat.example.org:3001/files/")

    async def test_the_tenant_says_what_it_takes(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        media = {"allowedMimeTypes": ["image/*"], "maxImageSizeBytes": 20, "presignTtlSeconds": 60}
        await gateway.server.patch("/tenant/settings", {"chat": {"media": media}})
        assert (await presign(ann)).status == 201
        assert (await presign(ann, mediaType="text/html")).status == 415
        assert (await presign(ann, sizeBytes=21)).status == 413
        assert (await presign(ann, mediaType="image")).status == 400
        assert (await presign(ann, sizeBytes=0)).status == 400
        gateway.authenticator.forget_tenant(gateway.tenant_id)
        await gateway.server.patch("/tenant/settings", {"chat": {"media": {"enabled": False}}})
        assert (await presign(ann)).status == 403

    async def test_announcing_is_limited(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        statuses = {(await presign(ann)).status for _ in range(70)}
        assert statuses == {201, 429}

    @pytest.mark.parametrize(
        ("sent", "length", "error"),
        [
            (PNG + b"x", None, TooLarge),
            (PNG + b"x", len(PNG) + 1, TooLarge),
            (PNG[:-1], None, InvalidRequest),
            (PNG[:-1], len(PNG) - 1, InvalidRequest),
        ],
    )
    async def test_another_size_than_announced_is_refused_and_leaves_nothing(
        self, gateway: Gateway, sent: bytes, length: int | None, error: type[Exception]
    ) -> None:
        ann = await gateway.user("ann")
        announced = await presign(ann)
        with pytest.raises(error):
            await gateway.put(announced.json["uploadUrl"], sent, length=length)
        completed = await ann.post(f"/chat/uploads/{announced.json['uploadId']}/complete", {})
        assert (completed.status, completed.json["code"]) == (409, "not_uploaded")

    async def test_bytes_may_be_sent_again_until_the_upload_is_completed(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        announced = await presign(ann)
        url, path = announced.json["uploadUrl"], f"/chat/uploads/{announced.json['uploadId']}"
        await gateway.put(url, b"?" * len(PNG))
        await gateway.put(url, PNG)
        await ann.post(f"{path}/complete", {})
        with pytest.raises(Conflict):
            await gateway.put(url, b"!" * len(PNG))
        assert await content(gateway, (await ann.get(f"{path}/access")).json["accessUrl"]) == PNG

    async def test_one_who_began_before_it_was_completed_changes_nothing_either(
        self, gateway: Gateway
    ) -> None:
        ann = await gateway.user("ann")
        announced = await presign(ann)
        url, path = announced.json["uploadUrl"], f"/chat/uploads/{announced.json['uploadId']}"
        await gateway.put(url, PNG)
        begun, completed = trio.Event(), trio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            begun.set()
            await completed.wait()
            yield b"!" * len(PNG)

        async def send() -> None:
            query = dict(pair.split("=") for pair in url.partition("?")[2].split("&"))
            with pytest.raises(Conflict):
                await gateway.uploads.receive(announced.json["uploadId"], slowly(), **query, length=None)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await begun.wait()
            await ann.post(f"{path}/complete", {})
            completed.set()
        assert await content(gateway, (await ann.get(f"{path}/access")).json["accessUrl"]) == PNG

    async def test_a_url_to_read_does_not_let_one_write_nor_the_other_way_round(
        self, gateway: Gateway
    ) -> None:
        ann = await gateway.user("ann")
        announced = await presign(ann)
        upload_id = await gateway.upload(ann)
        access = (await ann.get(f"/chat/uploads/{upload_id}/access")).json["accessUrl"]
        with pytest.raises(Forbidden):
            await gateway.put(access, PNG)
        with pytest.raises(Forbidden):
            await content(gateway, announced.json["uploadUrl"])

    async def test_a_url_ends(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        announced = await presign(ann)
        gateway.clock.now += 301
        with pytest.raises(Forbidden) as refused:
            await gateway.put(announced.json["uploadUrl"], PNG)
        assert refused.value.code == "link_expired"


class TestTakingBack:
    @pytest.mark.parametrize("complete", [False, True])
    async def test_what_is_in_no_message_can_be_taken_back(self, gateway: Gateway, complete: bool) -> None:
        ann = await gateway.user("ann")
        upload_id = await gateway.upload(ann, complete=complete)
        assert (await ann.delete(f"/chat/uploads/{upload_id}")).status == 200
        assert (await ann.delete(f"/chat/uploads/{upload_id}")).status == 404
        assert (await ann.post(f"/chat/uploads/{upload_id}/complete", {})).status == 404
        assert (await ann.get("/tenant/storage")).json == {"bytesUsed": 0, "fileCount": 0, "pendingBytes": 0}

    async def test_its_bytes_are_gone_with_it(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        upload_id = await gateway.upload(ann)
        url = (await ann.get(f"/chat/uploads/{upload_id}/access")).json["accessUrl"]
        await ann.delete(f"/chat/uploads/{upload_id}")
        with pytest.raises(NotFound):
            await content(gateway, url)

    async def test_what_is_in_a_message_cannot(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        upload_id = await gateway.upload(ann)
        await ann.post(f"/chat/rooms/{room_id}/messages", {"parts": [file(upload_id)]})
        answer = await ann.delete(f"/chat/uploads/{upload_id}")
        assert (answer.status, answer.json["code"]) == (409, "upload_in_use")


class TestInMessages:
    async def test_every_message_that_leaves_says_where_its_files_are(self, gateway: Gateway) -> None:
        ann, bob = await gateway.user("ann"), await gateway.user("bob")
        room_id, there = await gateway.room("ann", "bob"), await gateway.room("bob", "cid")
        path = f"/chat/rooms/{room_id}/messages"
        sent = (await ann.post(path, {"parts": [file(await gateway.upload(ann))]})).json
        reply = {"parts": [{"type": "text", "text": "nice"}], "parentMessageId": sent["id"]}
        replied = (await bob.post(path, reply)).json
        edited = (await ann.patch(f"{path}/{sent['id']}", {"parts": sent["parts"]})).json
        reacted = (await bob.post(f"{path}/{sent['id']}/reactions", {"emoji": "x"})).json
        pinned = (await bob.post(f"{path}/{sent['id']}/pin", {})).json
        forwarded = (await bob.post(f"{path}/{sent['id']}/forward", {"targetRoomIds": [there]})).json
        listed = (await bob.get(path)).json["messages"]
        pins = (await bob.get(f"/chat/rooms/{room_id}/pinned-messages")).json["messages"]
        replies = (await bob.get(f"{path}/{sent['id']}/replies")).json["messages"]
        shown = [sent, edited, reacted, pinned, forwarded["messages"][0], listed[-1], pins[0]]
        shown += [replied["parentMessage"], listed[0]["parentMessage"], replies[0]["parentMessage"]]
        for message in shown:
            part = message["parts"][0]
            assert part["url"] == part["accessUrl"]
            assert part["accessUrlExpiresAt"].endswith("Z")
            assert await content(gateway, part["accessUrl"]) == b"\x89PNG"

    async def test_what_is_stored_and_told_is_not_signed_yet(self, gateway: Gateway) -> None:
        # A log is read for days: the sockets' side signs when it sends.
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        await ann.post(f"/chat/rooms/{room_id}/messages", {"parts": [file(await gateway.upload(ann))]})
        assert b"accessUrl" not in gateway.fanout.told[-1].payload

    async def test_a_repeated_request_gets_urls_that_are_good_now(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        body, key = {"parts": [file(await gateway.upload(ann))]}, {"idempotency-key": "k"}
        first = await ann.post(f"/chat/rooms/{room_id}/messages", body, headers=key)
        gateway.clock.now += 10_000
        ann = await gateway.user("ann")
        again = await ann.post(f"/chat/rooms/{room_id}/messages", body, headers=key)
        assert again.json["id"] == first.json["id"]
        assert await content(gateway, again.json["parts"][0]["url"]) == b"\x89PNG"

    @pytest.mark.parametrize("upload_id", ["nothing", "00000000-0000-4000-8000-000000000000", ""])
    async def test_an_upload_that_is_not_the_senders_is_refused(
        self, gateway: Gateway, upload_id: str
    ) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        bobs = await gateway.upload(await gateway.user("bob"))
        for one in (upload_id, bobs):
            answer = await ann.post(f"/chat/rooms/{room_id}/messages", {"parts": [file(one)]})
            assert (answer.status, answer.json["code"]) == (400, "no_such_upload")

    async def test_a_part_of_another_type_may_say_what_it_likes(self, gateway: Gateway) -> None:
        bobs = await gateway.upload(await gateway.user("bob"))
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "cid")
        part = {"type": "data-x", "uploadId": bobs, "url": "https://stays", "data": {"uploadId": bobs}}
        answer = await ann.post(f"/chat/rooms/{room_id}/messages", {"parts": [part]})
        assert answer.json["parts"] == [part]


class TestReading:
    async def test_many_at_once_and_those_one_may_not_read_are_left_out(self, gateway: Gateway) -> None:
        ann, bob = await gateway.user("ann"), await gateway.user("bob")
        room_id = await gateway.room("ann", "bob")
        mine, shown, hidden = [await gateway.upload(one) for one in (bob, ann, ann)]
        await ann.post(f"/chat/rooms/{room_id}/messages", {"parts": [file(shown)]})
        body = {"uploadIds": [shown, "nothing", hidden, mine, shown]}
        urls = (await bob.post("/chat/uploads/access", body)).json["urls"]
        assert [one["uploadId"] for one in urls] == [shown, mine]
        for one in urls:
            assert await content(gateway, one["accessUrl"]) == b"\x89PNG"
        everything = (await gateway.server.post("/chat/uploads/access", body)).json["urls"]
        assert [one["uploadId"] for one in everything] == [shown, hidden, mine]
        assert (await gateway.other.post("/chat/uploads/access", body)).json == {"urls": []}

    async def test_a_hundred_at_most(self, gateway: Gateway) -> None:
        body = {"uploadIds": ["x"] * 101}
        assert (await gateway.server.post("/chat/uploads/access", body)).status == 400

    async def test_a_pending_upload_cannot_be_read(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        upload_id = await gateway.upload(ann, complete=False)
        assert (await ann.get(f"/chat/uploads/{upload_id}/access")).status == 404


async def test_what_files_take_is_told(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    await gateway.upload(ann, b"12345")
    await presign(ann)
    assert (await ann.get("/tenant/storage")).json == {
        "bytesUsed": 5,
        "fileCount": 1,
        "pendingBytes": len(PNG),
    }
    assert (await gateway.other.get("/tenant/storage")).json["fileCount"] == 0


async def test_a_sweep_erases_what_is_due_and_nothing_else(gateway: Gateway) -> None:
    ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
    kept, dropped = await gateway.upload(ann), await gateway.upload(ann)
    path = f"/chat/rooms/{room_id}/messages"
    await ann.post(path, {"parts": [file(kept)]})
    message = (await ann.post(path, {"parts": [file(dropped)]})).json
    await ann.delete(f"{path}/{message['id']}")
    await gateway.uploads.sweep()
    assert await gateway.store.upload(dropped) is None
    with pytest.raises(NotFound):
        await content(gateway, message["parts"][0]["url"])
    url = (await ann.get(path)).json["messages"][1]["parts"][0]["url"]
    assert await content(gateway, url) == b"\x89PNG"
