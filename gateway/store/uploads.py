"""Files that users send: from the announcement to the removal (contract 2.5, 3.9).

::

    pending ── complete ──▶ completed ◀──▶ in messages (attachments.py)
       └─────── remove ───────┴──▶ removed ── its blobs erased ──▶ forgotten

``sweep_at`` is when an upload that nobody uses is to be removed; an upload in a message has none. What a
tenant's files take is counted along, so that asking for it reads one row.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any, Final

import uuid_utils

from gateway.errors import Conflict, NotFound, no_such_room
from gateway.records import Storage, Upload
from gateway.store.connection import Cursor, row, rows
from gateway.store.ports import UploadDraft
from gateway.store.rooms import room_frozen

# Bytes that began to come in time may still be coming, and completing takes another request.
LATE_MS: Final = 3_600_000

_SELECT = """
    SELECT id, tenant_id, owner_id, room_id, filename, media_type, size_bytes, status, blob, created_at,
        expires_at
    FROM uploads
"""


def secret(db: Cursor, name: str) -> bytes:
    """See ``Store.secret``."""
    db.execute(
        "INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
        (name, secrets.token_bytes(32)),
    )
    (value,) = row(db, "SELECT value FROM secrets WHERE name = ?", (name,)) or (b"",)
    return bytes(value)


def create(db: Cursor, draft: UploadDraft, now: int) -> Upload:
    """See ``Store.create_upload``."""
    if draft.room_id is not None:
        room = row(
            db,
            """
            SELECT rooms.is_frozen FROM rooms JOIN participants ON room_id = rooms.id AND user_id = ?
            WHERE rooms.id = ? AND rooms.tenant_id = ?
            """,
            (draft.owner_id, draft.room_id, draft.tenant_id),
        )
        if room is None:
            raise no_such_room()
        if room[0]:
            raise room_frozen()
    upload_id, expires_at = str(uuid_utils.uuid7()), now + draft.life_ms
    db.execute(
        """
        INSERT INTO uploads
            (id, tenant_id, owner_id, room_id, filename, media_type, size_bytes, status, created_at, expires_at,
             sweep_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)
        """,
        (
            upload_id,
            draft.tenant_id,
            draft.owner_id,
            draft.room_id,
            draft.filename,
            draft.media_type,
            draft.size_bytes,
            now,
            expires_at,
            expires_at + LATE_MS,
        ),
    )
    _count(db, draft.tenant_id, pending=draft.size_bytes)
    return Upload(
        id=upload_id,
        tenant_id=draft.tenant_id,
        owner_id=draft.owner_id,
        room_id=draft.room_id,
        filename=draft.filename,
        media_type=draft.media_type,
        size_bytes=draft.size_bytes,
        status="pending",
        blob=None,
        created_at=now,
        expires_at=expires_at,
    )


def find(db: Cursor, upload_id: str) -> Upload | None:
    """See ``Store.upload``; what is removed is found as well."""
    found = row(db, f"{_SELECT} WHERE id = ?", (upload_id,))
    return None if found is None else _record(found)


def put(db: Cursor, tenant_id: str, upload_id: str, blob: str) -> str | None:
    """See ``Store.put_upload``."""
    upload = _require(db, tenant_id, upload_id)
    if upload.status == "completed":
        raise Conflict("This upload is completed.", code="upload_completed")
    db.execute("UPDATE uploads SET blob = ? WHERE id = ?", (blob, upload_id))
    return upload.blob


def complete(db: Cursor, tenant_id: str, owner_id: str, upload_id: str, *, life_ms: int, now: int) -> Upload:
    """See ``Store.complete_upload``."""
    upload = _require(db, tenant_id, upload_id, owner_id=owner_id)
    if upload.status == "completed":
        return upload
    if upload.blob is None:
        raise Conflict("The file has not been uploaded.", code="not_uploaded")
    db.execute(
        "UPDATE uploads SET status = 'completed', sweep_at = ? WHERE id = ?", (now + life_ms, upload_id)
    )
    _count(db, tenant_id, pending=-upload.size_bytes, used=upload.size_bytes, files=1)
    return _require(db, tenant_id, upload_id)


def remove(db: Cursor, tenant_id: str, owner_id: str, upload_id: str, now: int) -> Upload:
    """See ``Store.remove_upload``."""
    upload = _require(db, tenant_id, upload_id, owner_id=owner_id)
    if row(db, "SELECT 1 FROM attachments WHERE upload_id = ? LIMIT 1", (upload_id,)) is not None:
        raise Conflict("This upload is in a message.", code="upload_in_use")
    _remove(db, upload, now)
    return upload


def storage(db: Cursor, tenant_id: str) -> Storage:
    """See ``Store.storage``."""
    found = row(
        db, "SELECT bytes_used, file_count, pending_bytes FROM storage WHERE tenant_id = ?", (tenant_id,)
    )
    return Storage(*(found or (0, 0, 0)))


def readable(db: Cursor, tenant_id: str, upload_ids: Collection[str], *, viewer_id: str | None) -> list[str]:
    """See ``Store.readable_uploads``."""
    return [one for one in upload_ids if _is_readable(db, tenant_id, one, viewer_id)]


def due(db: Cursor, now: int, limit: int) -> list[Upload]:
    """See ``Store.due_uploads``."""
    found = rows(db, f"{_SELECT} WHERE sweep_at <= ? ORDER BY sweep_at LIMIT ?", (now, limit))
    return [_record(one) for one in found]


def condemn(db: Cursor, upload_id: str, now: int) -> bool:
    """See ``Store.condemn_upload``."""
    found = row(db, f"{_SELECT} WHERE id = ? AND sweep_at <= ?", (upload_id, now))
    if found is None:
        return False
    upload = _record(found)
    if upload.status != "removed":
        _remove(db, upload, now)
    return True


def forget(db: Cursor, upload_id: str) -> None:
    """See ``Store.forget_upload``."""
    db.execute("DELETE FROM uploads WHERE id = ? AND status = 'removed'", (upload_id,))


def _require(db: Cursor, tenant_id: str, upload_id: str, *, owner_id: str | None = None) -> Upload:
    upload = find(db, upload_id)
    if (
        upload is None
        or upload.tenant_id != tenant_id
        or upload.status == "removed"
        or owner_id not in (None, upload.owner_id)
    ):
        raise NotFound("There is no such upload.")
    return upload


def _remove(db: Cursor, upload: Upload, now: int) -> None:
    # Due at once: should the process end before the blobs are erased, the next sweep does it.
    db.execute("UPDATE uploads SET status = 'removed', sweep_at = ? WHERE id = ?", (now, upload.id))
    if upload.status == "completed":
        _count(db, upload.tenant_id, used=-upload.size_bytes, files=-1)
    else:
        _count(db, upload.tenant_id, pending=-upload.size_bytes)


def _count(db: Cursor, tenant_id: str, *, used: int = 0, files: int = 0, pending: int = 0) -> None:
    db.execute(
        """
        INSERT INTO storage (tenant_id, bytes_used, file_count, pending_bytes) VALUES (?, ?, ?, ?)
        ON CONFLICT (tenant_id) DO UPDATE SET
            bytes_used = storage.bytes_used + excluded.bytes_used,
            file_count = storage.file_count + excluded.file_count,
            pending_bytes = storage.pending_bytes + excluded.pending_bytes
        """,
        (tenant_id, used, files, pending),
    )


def _is_readable(db: Cursor, tenant_id: str, upload_id: str, viewer_id: str | None) -> bool:
    found = row(
        db,
        "SELECT owner_id FROM uploads WHERE id = ? AND tenant_id = ? AND status = 'completed'",
        (upload_id, tenant_id),
    )
    if found is None:
        return False
    if viewer_id in (None, found[0]):
        return True
    seen = row(
        db,
        """
        SELECT 1 FROM attachments
        JOIN participants ON participants.room_id = attachments.room_id AND participants.user_id = ?
        JOIN messages ON messages.id = attachments.message_id
        WHERE attachments.upload_id = ? AND messages.seq > participants.cleared_seq LIMIT 1
        """,
        (viewer_id, upload_id),
    )
    return seen is not None


def _record(found: tuple[Any, ...]) -> Upload:
    upload_id, tenant_id, owner_id, room_id, filename, media_type, size_bytes, status, blob, *times = found
    created_at, expires_at = times
    return Upload(
        id=upload_id,
        tenant_id=tenant_id,
        owner_id=owner_id,
        room_id=room_id,
        filename=filename,
        media_type=media_type,
        size_bytes=size_bytes,
        status=status,
        blob=blob,
        created_at=created_at,
        expires_at=expires_at,
    )
