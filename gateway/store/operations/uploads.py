"""Files that users send."""

from __future__ import annotations

from collections.abc import Collection

from gateway.records import Storage, Upload
from gateway.store import uploads
from gateway.store.operations.base import Operations
from gateway.store.ports import Once, UploadDraft


class UploadOperations(Operations):
    """``gateway.store.ports.Uploads`` in SQL."""

    async def secret(self, name: str) -> bytes:
        return await self._write(None, lambda db: uploads.secret(db, name))

    async def create_upload(self, draft: UploadDraft, *, once: Once[Upload] | None = None) -> Upload:
        return await self._write(
            draft.tenant_id, lambda db: uploads.create(db, draft, self._clock()), once=once
        )

    async def upload(self, upload_id: str) -> Upload | None:
        return await self._read(lambda db: uploads.find(db, upload_id))

    async def put_upload(self, tenant_id: str, upload_id: str, blob: str) -> str | None:
        return await self._write(tenant_id, lambda db: uploads.put(db, tenant_id, upload_id, blob))

    async def complete_upload(
        self, tenant_id: str, owner_id: str, upload_id: str, *, life_ms: int, once: Once[Upload] | None = None
    ) -> Upload:
        return await self._write(
            tenant_id,
            lambda db: uploads.complete(
                db, tenant_id, owner_id, upload_id, life_ms=life_ms, now=self._clock()
            ),
            once=once,
        )

    async def remove_upload(
        self, tenant_id: str, owner_id: str, upload_id: str, *, once: Once[Upload] | None = None
    ) -> Upload:
        return await self._write(
            tenant_id,
            lambda db: uploads.remove(db, tenant_id, owner_id, upload_id, self._clock()),
            once=once,
        )

    async def readable_uploads(
        self, tenant_id: str, upload_ids: Collection[str], *, viewer_id: str | None
    ) -> list[str]:
        return await self._read(
            lambda db: uploads.readable(db, tenant_id, upload_ids, viewer_id=viewer_id), together=True
        )

    async def storage(self, tenant_id: str) -> Storage:
        return await self._read(lambda db: uploads.storage(db, tenant_id))

    async def due_uploads(self, limit: int) -> list[Upload]:
        return await self._read(lambda db: uploads.due(db, self._clock(), limit))

    async def condemn_upload(self, tenant_id: str, upload_id: str) -> bool:
        return await self._write(tenant_id, lambda db: uploads.condemn(db, upload_id, self._clock()))

    async def forget_upload(self, tenant_id: str, upload_id: str) -> None:
        await self._write(tenant_id, lambda db: uploads.forget(db, upload_id))
