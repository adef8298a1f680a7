"""Files from the announcement to the removal, and which messages they are in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import Conflict, Forbidden, InvalidRequest, NotFound
from gateway.records import Message, Storage, Upload
from gateway.store.ports import MessageDraft, RoomChange, UploadDraft
from gateway.store.uploads import LATE_MS
from tests.store.conftest import Home

LIFE_MS = 300_000
UNUSED_MS = 86_400_000


async def announce(
    home: Home, owner_id: str = "ann", *, size: int = 10, room_id: str | None = None
) -> Upload:
    return await home.store.create_upload(
        UploadDraft(
            tenant_id=home.tenant_id,
            owner_id=owner_id,
            room_id=room_id,
            filename="cat.png",
            media_type="image/png",
            size_bytes=size,
            life_ms=LIFE_MS,
        )
    )


async def uploaded(home: Home, owner_id: str = "ann", *, size: int = 10) -> str:
    upload = await announce(home, owner_id, size=size)
    await home.store.put_upload(home.tenant_id, upload.id, f"{upload.id}/1")
    await complete(home, upload.id, owner_id)
    return upload.id


async def complete(home: Home, upload_id: str, owner_id: str = "ann") -> Upload:
    return await home.store.complete_upload(home.tenant_id, owner_id, upload_id, life_ms=UNUSED_MS)


def showing(home: Home, room_id: str, sender_id: str, *upload_ids: str, **more: Any) -> MessageDraft:
    parts = [{"type": "file", "uploadId": upload_id} for upload_id in upload_ids]
    draft = home.draft(room_id, sender_id, **more)
    return msgspec.structs.replace(draft, parts=msgspec.json.encode(parts), upload_ids=upload_ids)


async def show(home: Home, room_id: str, sender_id: str, *upload_ids: str, **more: Any) -> Message:
    return (await home.store.send_message(showing(home, room_id, sender_id, *upload_ids, **more))).message


async def readable(home: Home, viewer_id: str | None, *upload_ids: str) -> list[str]:
    return await home.store.readable_uploads(home.tenant_id, upload_ids, viewer_id=viewer_id)


async def due(home: Home) -> set[str]:
    return {upload.id for upload in await home.store.due_uploads(100)}


class TestBeforeTheyAreUsed:
    async def test_a_file_comes_and_is_completed_and_that_again_changes_nothing(self, home: Home) -> None:
        announced = await announce(home)
        assert (announced.status, announced.blob) == ("pending", None)
        assert announced.expires_at == announced.created_at + LIFE_MS
        assert await home.store.put_upload(home.tenant_id, announced.id, "blob") is None
        completed = await complete(home, announced.id)
        assert completed == msgspec.structs.replace(announced, status="completed", blob="blob")
        assert await complete(home, announced.id) == completed
        assert await home.store.upload(announced.id) == completed

    async def test_what_has_not_come_cannot_be_completed(self, home: Home) -> None:
        upload = await announce(home)
        with pytest.raises(Conflict):
            await complete(home, upload.id)

    async def test_bytes_may_come_again_until_they_are_completed_and_never_after(self, home: Home) -> None:
        upload = await announce(home)
        assert await home.store.put_upload(home.tenant_id, upload.id, "first") is None
        assert await home.store.put_upload(home.tenant_id, upload.id, "second") == "first"
        await complete(home, upload.id)
        with pytest.raises(Conflict):
            await home.store.put_upload(home.tenant_id, upload.id, "third")
        kept = await home.store.upload(upload.id)
        assert kept is not None
        assert kept.blob == "second"

    async def test_nobody_else_can_complete_or_remove_it(self, home: Home) -> None:
        upload = await announce(home)
        await home.store.put_upload(home.tenant_id, upload.id, "blob")
        other = (await home.store.create_tenant("Other")).id
        for tenant_id, owner_id in ((home.tenant_id, "bob"), (other, "ann")):
            with pytest.raises(NotFound):
                await home.store.complete_upload(tenant_id, owner_id, upload.id, life_ms=UNUSED_MS)
            with pytest.raises(NotFound):
                await home.store.remove_upload(tenant_id, owner_id, upload.id)

    async def test_a_removed_one_is_gone_for_everybody_and_forgotten_when_its_bytes_are(
        self, home: Home
    ) -> None:
        upload_id = await uploaded(home)
        await home.store.remove_upload(home.tenant_id, "ann", upload_id)
        with pytest.raises(NotFound):
            await home.store.remove_upload(home.tenant_id, "ann", upload_id)
        with pytest.raises(NotFound):
            await home.store.put_upload(home.tenant_id, upload_id, "late")
        assert await readable(home, None, upload_id) == []
        assert await due(home) == {upload_id}  # should its bytes not have been erased
        await home.store.forget_upload(home.tenant_id, upload_id)
        assert await home.store.upload(upload_id) is None
        assert await due(home) == set()

    async def test_only_a_room_that_one_may_write_to_can_be_named(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        assert (await announce(home, room_id=room.id)).room_id == room.id
        with pytest.raises(NotFound):
            await announce(home, "cid", room_id=room.id)
        await home.store.change_room(home.tenant_id, room.id, RoomChange(is_frozen=True), actor_id=None)
        with pytest.raises(Forbidden):
            await announce(home, room_id=room.id)


class TestInMessages:
    async def test_only_ones_own_completed_uploads_can_be_sent(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        mine, others, pending = await uploaded(home), await uploaded(home, "bob"), (await announce(home)).id
        await show(home, room.id, "ann", mine)
        for refused in (others, pending, "nothing"):
            with pytest.raises(InvalidRequest):
                await show(home, room.id, "ann", mine, refused)
        assert len(await home.texts(room.id, "ann")) == 1

    async def test_no_other_tenants_upload_can_be_sent_not_even_by_the_backend(self, home: Home) -> None:
        other = Home(home.store, home.clock, (await home.store.create_tenant("Other")).id)
        theirs, room = await uploaded(other), await home.room("ann", "bob")
        for by_server in (False, True):
            with pytest.raises(InvalidRequest):
                await show(home, room.id, "ann", theirs, by_server=by_server)

    async def test_the_backend_may_send_anybodys(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        await show(home, room.id, "bob", await uploaded(home, "ann"), by_server=True)

    async def test_who_can_read_a_message_can_read_its_files(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        upload_id = await uploaded(home)
        assert await readable(home, "ann", upload_id, "nothing") == [upload_id]
        assert await readable(home, "bob", upload_id) == []
        await show(home, room.id, "ann", upload_id)
        assert await readable(home, "bob", upload_id) == [upload_id]
        assert await readable(home, "cid", upload_id) == []
        assert await readable(home, None, upload_id) == [upload_id]
        await home.remove(room.id, "bob")
        assert await readable(home, "bob", upload_id) == []

    async def test_who_has_cleared_the_message_away_cannot(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        upload_id = await uploaded(home)
        await show(home, room.id, "ann", upload_id)
        await home.store.clear_history(home.tenant_id, room.id, "bob")
        assert await readable(home, "bob", upload_id) == []

    async def test_a_forwarded_message_takes_its_files_along(self, home: Home) -> None:
        here, there = await home.room("ann", "bob"), await home.room("bob", "cid")
        upload_id = await uploaded(home)
        message = await show(home, here.id, "ann", upload_id)
        await home.store.forward_message(home.copy(here.id, message.id, "bob", there.id))
        assert await readable(home, "cid", upload_id) == [upload_id]

    async def test_an_edit_keeps_what_is_in_the_message_whosever_it_is(self, home: Home) -> None:
        here, there = await home.room("ann", "bob"), await home.room("bob", "cid")
        upload_id, foreign = await uploaded(home), await uploaded(home)
        message = await show(home, here.id, "ann", upload_id)
        copied = await home.store.forward_message(home.copy(here.id, message.id, "bob", there.id))
        copy = copied.sent[0].message
        edit = home.edit(there.id, copy.id, "x", actor_id="bob")
        await home.store.edit_message(msgspec.structs.replace(edit, upload_ids=(upload_id,)))
        assert await readable(home, "cid", upload_id) == [upload_id]
        with pytest.raises(InvalidRequest):
            await home.store.edit_message(msgspec.structs.replace(edit, upload_ids=(upload_id, foreign)))
        assert await readable(home, "cid", foreign) == []

    async def test_a_repeated_send_is_the_first_one_still(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        upload_id = await uploaded(home)
        first = await show(home, room.id, "ann", upload_id, client_message_id="c")
        assert (await show(home, room.id, "ann", upload_id, client_message_id="c")).id == first.id

    async def test_a_file_in_a_message_cannot_be_taken_back(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        upload_id = await uploaded(home)
        message = await show(home, room.id, "ann", upload_id)
        with pytest.raises(Conflict):
            await home.store.remove_upload(home.tenant_id, "ann", upload_id)
        await home.store.edit_message(home.edit(room.id, message.id, "without"))
        await home.store.remove_upload(home.tenant_id, "ann", upload_id)


class TestWhatNobodyUses:
    async def test_what_never_came_is_due_some_time_after_its_end(self, home: Home) -> None:
        upload = await announce(home)
        home.clock.ms = upload.expires_at + LATE_MS - 1
        assert await due(home) == set()
        home.clock.ms += 1
        assert await due(home) == {upload.id}

    async def test_what_is_in_no_message_is_due_after_a_while_and_what_is_in_one_never(
        self, home: Home
    ) -> None:
        room = await home.room("ann", "bob")
        unused, used = await uploaded(home), await uploaded(home)
        await show(home, room.id, "ann", used)
        home.clock.ms += UNUSED_MS - 1
        assert await due(home) == set()
        home.clock.ms += 1
        assert await due(home) == {unused}
        home.clock.ms *= 2
        assert await due(home) == {unused}

    async def test_what_the_last_message_let_go_of_is_due(self, home: Home) -> None:
        here, there = await home.room("ann", "bob"), await home.room("ann", "cid")
        upload_id = await uploaded(home)
        message = await show(home, here.id, "ann", upload_id)
        copied = await home.store.forward_message(home.copy(here.id, message.id, "ann", there.id))
        copy = copied.sent[0].message
        await home.store.delete_message(
            home.tenant_id, here.id, message.id, actor_id="ann", placeholder="gone"
        )
        assert await due(home) == set()
        assert await readable(home, "bob", upload_id) == []
        await home.store.edit_message(home.edit(there.id, copy.id, "without"))
        assert await due(home) == {upload_id}

    async def test_who_is_used_meanwhile_is_not_removed(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        upload_id = await uploaded(home)
        home.clock.ms += UNUSED_MS
        assert await due(home) == {upload_id}
        await show(home, room.id, "ann", upload_id)
        assert not await home.store.condemn_upload(home.tenant_id, upload_id)
        assert await readable(home, "bob", upload_id) == [upload_id]

    async def test_who_is_removed_cannot_be_used_any_more(self, home: Home) -> None:
        room = await home.room("ann", "bob")
        upload_id = await uploaded(home)
        home.clock.ms += UNUSED_MS
        assert await home.store.condemn_upload(home.tenant_id, upload_id)
        with pytest.raises(InvalidRequest):
            await show(home, room.id, "ann", upload_id)

    async def test_only_what_is_removed_can_be_forgotten(self, home: Home) -> None:
        upload_id = await uploaded(home)
        await home.store.forget_upload(home.tenant_id, upload_id)
        assert await home.store.upload(upload_id) is not None


class TestWhatTheyTake:
    async def test_it_is_counted_along(self, home: Home) -> None:
        async def taken() -> Storage:
            return await home.store.storage(home.tenant_id)

        assert await taken() == Storage(0, 0, 0)
        upload = await announce(home, size=7)
        assert await taken() == Storage(0, 0, 7)
        await home.store.put_upload(home.tenant_id, upload.id, "blob")
        await complete(home, upload.id)
        await complete(home, upload.id)
        kept = await uploaded(home, size=100)
        assert await taken() == Storage(107, 2, 0)
        await home.store.remove_upload(home.tenant_id, "ann", upload.id)
        await announce(home, size=3)
        home.clock.ms += UNUSED_MS + LIFE_MS + LATE_MS
        for one in await due(home):
            await home.store.condemn_upload(home.tenant_id, one)
            await home.store.condemn_upload(home.tenant_id, one)
            await home.store.forget_upload(home.tenant_id, one)
        assert await home.store.upload(kept) is None
        assert await taken() == Storage(0, 0, 0)

    async def test_each_tenant_by_itself(self, home: Home) -> None:
        other = Home(home.store, home.clock, (await home.store.create_tenant("Other")).id)
        await uploaded(home, size=5)
        assert await other.store.storage(other.tenant_id) == Storage(0, 0, 0)


async def test_a_secret_is_random_and_stays_the_same(home: Home) -> None:
    one = await home.store.secret("one")
    assert len(one) == 32
    assert await home.store.secret("one") == one
    assert await home.store.secret("other") != one
