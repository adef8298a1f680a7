"""Routes on uploads (contract 2.5, endpoints 29 to 33) and on what they take (endpoint 8)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from gateway.api import parse
from gateway.api.answers import created, ok
from gateway.api.auth import Caller
from gateway.api.idempotency import once
from gateway.api.services import Services
from gateway.chat.uploads import Access
from gateway.errors import NotFound
from gateway.records import Upload, iso
from gateway.wire.http import Request, Response

MOST_UPLOADS: Final = 100


class PresignBody(msgspec.Struct, frozen=True, rename="camel"):
    filename: Annotated[str, Meta(max_length=1_000)]
    media_type: Annotated[str, Meta(min_length=1, max_length=255)]
    size_bytes: Annotated[int, Meta(ge=1, le=2**53)]
    room_id: str | None = None


class Presigned(msgspec.Struct, frozen=True, rename="camel"):
    """Where to send the bytes: one PUT with them as its body and ``mediaType`` as its Content-Type."""

    upload_id: str
    upload_url: str
    method: Literal["PUT"]
    upload_url_expires_at: str


class CompletedUpload(msgspec.Struct, frozen=True, rename="camel"):
    upload_id: str
    status: Literal["completed"]
    filename: str
    media_type: str
    size_bytes: int


class RemovedUpload(msgspec.Struct, frozen=True, rename="camel"):
    upload_id: str
    removed: bool


class AccessBody(msgspec.Struct, frozen=True, rename="camel"):
    upload_ids: Annotated[list[str], Meta(max_length=MOST_UPLOADS)]


class AccessList(msgspec.Struct, frozen=True):
    urls: list[Access]


_PRESIGN: Final = msgspec.json.Decoder(PresignBody)
_ACCESS: Final = msgspec.json.Decoder(AccessBody)


async def post_presign(services: Services, caller: Caller, request: Request) -> Response:
    def answer(upload: Upload) -> Response:
        link = services.links.to_put(upload.id, until_ms=upload.expires_at, origin=request.origin)
        return created(Presigned(upload.id, link.url, "PUT", iso(link.expires_at)))

    body = parse.body(request, _PRESIGN)
    upload = await services.uploads.presign(
        caller.tenant.id,
        parse.own_id(caller),
        media=services.tenants.settings(caller.tenant).chat.media,
        filename=body.filename,
        media_type=body.media_type,
        size_bytes=body.size_bytes,
        room_id=body.room_id,
        once=once(request, caller, answer),
    )
    return answer(upload)


async def post_complete(services: Services, caller: Caller, request: Request, upload_id: str) -> Response:
    upload = await services.uploads.complete(
        caller.tenant.id, parse.own_id(caller), upload_id, once=once(request, caller, _completed)
    )
    return _completed(upload)


async def delete_upload(services: Services, caller: Caller, request: Request, upload_id: str) -> Response:
    await services.uploads.abort(
        caller.tenant.id, parse.own_id(caller), upload_id, once=once(request, caller, _removed)
    )
    return ok(RemovedUpload(upload_id, True))


async def get_access(services: Services, caller: Caller, request: Request, upload_id: str) -> Response:
    urls = await services.uploads.access(
        caller.tenant.id, [upload_id], viewer_id=caller.user_id, origin=request.origin
    )
    if not urls:
        raise NotFound("There is no such upload.")
    return ok(urls[0])


async def post_access(services: Services, caller: Caller, request: Request) -> Response:
    body = parse.body(request, _ACCESS)
    return ok(
        AccessList(
            await services.uploads.access(
                caller.tenant.id, body.upload_ids, viewer_id=caller.user_id, origin=request.origin
            )
        )
    )


async def get_storage(services: Services, caller: Caller, request: Request) -> Response:
    return ok(await services.uploads.storage(caller.tenant.id))


def _completed(upload: Upload) -> Response:
    return ok(CompletedUpload(upload.id, "completed", upload.filename, upload.media_type, upload.size_bytes))


def _removed(upload: Upload) -> Response:
    return ok(RemovedUpload(upload.id, True))
