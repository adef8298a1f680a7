"""Files that users send and read (contract 2.5): announced, sent, completed, read by signed URLs, swept."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Final

import msgspec
import structlog
import trio

from gateway.blobs.ports import Blobs
from gateway.blobs.staging import Staging
from gateway.chat import media as rules
from gateway.chat.limits import Limiter
from gateway.chat.links import Links
from gateway.chat.settings import MediaSettings
from gateway.config import Uploads as Settings
from gateway.errors import Conflict, GatewayError, InvalidRequest, NotFound, TooLarge
from gateway.records import Readable, Storage, Upload, iso
from gateway.store.ports import Once, Store, UploadDraft

# Removed uploads that one turn of the sweeper looks at.
SWEEP_BATCH: Final = 100
# How long storing a file that has come whole may take beyond the end of its request.
KEEP_S: Final = 120.0

log = structlog.get_logger(__name__)


class Access(msgspec.Struct, frozen=True, rename="camel"):
    """Where a file can be read, and until when."""

    upload_id: str
    access_url: str
    access_url_expires_at: str


class Uploads:
    """What REST and the URLs of files offer."""

    def __init__(
        self,
        *,
        store: Store,
        blobs: Blobs,
        staging: Staging,
        links: Links,
        limiter: Limiter,
        settings: Settings,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._staging = staging
        self._links = links
        self._limiter = limiter
        self._settings = settings

    async def presign(
        self,
        tenant_id: str,
        user_id: str,
        *,
        media: MediaSettings,
        filename: str,
        media_type: str,
        size_bytes: int,
        room_id: str | None,
        once: Once[Upload] | None = None,
    ) -> Upload:
        """Announce a file.

        Args:
            media: what the tenant takes.
            room_id: where it is to be used, if that is known.

        Raises:
            RateLimited: a user announced more than ``limits.upload_presign`` allows.
            Forbidden, InvalidRequest, UnsupportedMediaType, TooLarge: the tenant does not take such a file, or
                the room is frozen.
            NotFound: no such room, or the user is not in it.
        """
        self._limiter.require(tenant_id, user_id, "upload-presign")
        rules.require_allowed(
            media, media_type=media_type, size_bytes=size_bytes, most_bytes=self._settings.file_bytes
        )
        draft = UploadDraft(
            tenant_id=tenant_id,
            owner_id=user_id,
            room_id=room_id,
            filename=rules.file_name(filename),
            media_type=media_type,
            size_bytes=size_bytes,
            life_ms=media.presign_ttl_seconds * 1000,
        )
        return await self._store.create_upload(draft, once=once)

    async def receive(
        self,
        upload_id: str,
        chunks: AsyncIterable[bytes],
        *,
        expires: str,
        signature: str,
        length: int | None,
    ) -> None:
        """Take in the bytes of an upload. Until it is completed they may be sent again, and take their place.

        Args:
            length: as the request declares it, if it does.

        Raises:
            Forbidden: the URL is not good (any more).
            NotFound: there is no such upload any more.
            Conflict: it is completed.
            TooLarge, InvalidRequest: the bytes are more, or fewer, than were announced.
        """
        self._links.require("put", upload_id, expires=expires, signature=signature)
        upload = await self._kept(upload_id)
        if upload.status == "completed":
            raise Conflict("This upload is completed.", code="upload_completed")
        if length is not None and length > upload.size_bytes:
            raise TooLarge(f"This file was announced with {upload.size_bytes} bytes.")
        if length is not None and length < upload.size_bytes:
            raise InvalidRequest(f"This file was announced with {upload.size_bytes} bytes, not {length}.")
        async with self._staging.receive(chunks, upload.size_bytes) as file:
            # Another place each time: what is completed is never written to, not even by a request that began
            # before it was.
            blob = f"{_folder(upload)}/{secrets.token_hex(8)}"
            # Once begun it is not given up halfway, or it might be noted and not there.
            with trio.CancelScope(shield=True, deadline=trio.current_time() + KEEP_S):
                await self._blobs.keep(blob, file)
                try:
                    replaced = await self._store.put_upload(upload.tenant_id, upload_id, blob)
                except GatewayError:
                    await self._erase(blob)
                    raise
                if replaced is not None:
                    await self._erase(replaced)

    async def complete(
        self, tenant_id: str, user_id: str, upload_id: str, *, once: Once[Upload] | None = None
    ) -> Upload:
        """Let an upload be used in messages; doing it again changes nothing.

        Raises:
            NotFound: this user has no such upload.
            Conflict: its bytes have not come.
        """
        return await self._store.complete_upload(
            tenant_id, user_id, upload_id, life_ms=int(self._settings.unused_s * 1000), once=once
        )

    async def abort(
        self, tenant_id: str, user_id: str, upload_id: str, *, once: Once[Upload] | None = None
    ) -> None:
        """Take an upload back, completed or not, and erase its bytes.

        Raises:
            NotFound: this user has no such upload.
            Conflict: a message has it.
        """
        await self._clear(await self._store.remove_upload(tenant_id, user_id, upload_id, once=once))

    async def access(
        self, tenant_id: str, upload_ids: Collection[str], *, viewer_id: str | None, origin: str
    ) -> list[Access]:
        """URLs of those of these uploads that the viewer may read, in their order; None is the backend, which
        may read them all.
        """
        readable = await self._store.readable_uploads(
            tenant_id, list(dict.fromkeys(upload_ids)), viewer_id=viewer_id
        )
        links = [(upload_id, self._links.to_get(upload_id, origin=origin)) for upload_id in readable]
        return [Access(upload_id, link.url, iso(link.expires_at)) for upload_id, link in links]

    async def storage(self, tenant_id: str) -> Storage:
        """What the tenant's files take."""
        return await self._store.storage(tenant_id)

    async def open(self, upload_id: str, *, expires: str, signature: str) -> Readable:
        """The file that a URL names.

        Raises:
            Forbidden: the URL is not good (any more).
            NotFound: the file is gone.
        """
        left_s = self._links.require("get", upload_id, expires=expires, signature=signature)
        upload = await self._kept(upload_id)
        if upload.status != "completed" or upload.blob is None:
            raise NotFound("There is no such file.")
        return Readable(upload, upload.blob, left_s, rules.is_inline(upload.media_type))

    def read(
        self, file: Readable, *, begin: int, end: int
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes, None]]:
        """The bytes of a file from ``begin`` up to and without ``end``.

        Raises:
            NotFound, Unavailable: on entering: they are gone, or cannot be read now.
        """
        return self._blobs.read(file.blob, begin=begin, end=end)

    async def run(self) -> None:
        """Remove, for ever, what nobody uses."""
        while True:
            try:
                await self._staging.tidy()
                await self.sweep()
            except Exception:
                # The one boundary: it is tried again, and the gateway serves meanwhile.
                log.exception("sweeping uploads ended by an unexpected error")
            await trio.sleep(self._settings.sweep_s)

    async def sweep(self) -> None:
        """Remove what nobody uses and is due."""
        while due := await self._store.due_uploads(SWEEP_BATCH):
            cleared = 0
            for upload in due:
                if await self._store.condemn_upload(upload.tenant_id, upload.id):
                    cleared += await self._clear(upload)
            if not cleared:
                return  # the storage is away, or somebody else was faster

    async def _kept(self, upload_id: str) -> Upload:
        upload = await self._store.upload(upload_id)
        if upload is None or upload.status == "removed":
            raise NotFound("There is no such upload.")
        return upload

    async def _clear(self, upload: Upload) -> bool:
        """Erase what there is of a removed upload, and forget it; what fails is left to the next sweep."""
        if not await self._erase(_folder(upload)):
            return False
        await self._store.forget_upload(upload.tenant_id, upload.id)
        return True

    async def _erase(self, key: str) -> bool:
        try:
            await self._blobs.erase(key)
        except GatewayError as error:
            log.warning("a file could not be erased", key=key, error=error.message)
            return False
        return True


def _folder(upload: Upload) -> str:
    year, month = iso(upload.created_at)[:7].split("-")
    return f"{upload.tenant_id}/{year}/{month}/{upload.id}"
