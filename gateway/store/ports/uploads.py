"""What is kept of the files that users send."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec

from gateway.records import Storage, Upload
from gateway.store.ports.once import Once


class UploadDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A file that ``owner_id`` is about to send, for a message in ``room_id`` if he says so."""

    tenant_id: str
    owner_id: str
    room_id: str | None
    filename: str
    media_type: str
    size_bytes: int
    life_ms: int


class Uploads(Protocol):
    """Files: announced, sent, completed, and in the end in messages or removed.

    An upload that nobody uses is due for removal after a while: when its bytes have not come, when it has
    been in no message since it was completed, and when the last message that had it is gone.
    """

    async def secret(self, name: str) -> bytes:
        """32 random bytes that are made when they are first asked for and the same on every node."""
        ...

    async def create_upload(self, draft: UploadDraft, *, once: Once[Upload] | None = None) -> Upload:
        """Announce a file.

        Raises:
            NotFound: no such room in this tenant, or the owner is not in it.
            Forbidden: the room is frozen.
        """
        ...

    async def upload(self, upload_id: str) -> Upload | None:
        """The upload of this id, of whatever tenant: a signed URL names no more than that."""
        ...

    async def put_upload(self, tenant_id: str, upload_id: str, blob: str) -> str | None:
        """Note that the bytes are there, in ``blob``. Returns the blob that this one takes the place of.

        Raises:
            NotFound: there is no such upload any more.
            Conflict: it is completed, and its bytes are not to change.
        """
        ...

    async def complete_upload(
        self, tenant_id: str, owner_id: str, upload_id: str, *, life_ms: int, once: Once[Upload] | None = None
    ) -> Upload:
        """Let an upload be used in messages; one that is completed stays so.

        Args:
            life_ms: how long it may be in no message.

        Raises:
            NotFound: this user has no such upload.
            Conflict: its bytes have not come.
        """
        ...

    async def remove_upload(
        self, tenant_id: str, owner_id: str, upload_id: str, *, once: Once[Upload] | None = None
    ) -> Upload:
        """Take an upload back. Its blobs are still to be erased, and then ``forget_upload`` to be called.

        Raises:
            NotFound: this user has no such upload.
            Conflict: a message has it.
        """
        ...

    async def readable_uploads(
        self, tenant_id: str, upload_ids: Collection[str], *, viewer_id: str | None
    ) -> list[str]:
        """Those of the completed uploads that the viewer may read, in the order given: his own, and those in
        messages that he can read. ``viewer_id`` None is the API key, which reads everything.
        """
        ...

    async def storage(self, tenant_id: str) -> Storage: ...

    async def due_uploads(self, limit: int) -> list[Upload]:
        """Uploads of all tenants that are due for removal, the longest due first."""
        ...

    async def condemn_upload(self, tenant_id: str, upload_id: str) -> bool:
        """Remove an upload if it is still due: nobody can use it from then on."""
        ...

    async def forget_upload(self, tenant_id: str, upload_id: str) -> None:
        """Drop a removed upload, whose blobs are erased."""
        ...
