"""Rows of the table of routes: files that users send."""

from __future__ import annotations

from typing import Final

from gateway.api import uploads
from gateway.api.matching import Route
from gateway.chat.uploads import Access
from gateway.records import Storage

UPLOADS: Final = (
    Route(
        method="GET",
        path="/v1/tenant/storage",
        handler=uploads.get_storage,
        who="either",
        summary="How much the tenant's files take",
        answer=Storage,
    ),
    Route(
        method="POST",
        path="/v1/chat/uploads/presign",
        handler=uploads.post_presign,
        who="session",
        summary="Announce a file, and get the URL to send it to",
        body=uploads.PresignBody,
        answer=uploads.Presigned,
        statuses=(201,),
        errors=(404, 415, 429),
    ),
    Route(
        method="POST",
        path="/v1/chat/uploads/access",
        handler=uploads.post_access,
        who="either",
        summary="Get the URLs of files, of those that may be read",
        body=uploads.AccessBody,
        answer=uploads.AccessList,
        changes_nothing=True,
    ),
    Route(
        method="POST",
        path="/v1/chat/uploads/{uploadId}/complete",
        handler=uploads.post_complete,
        who="session",
        summary="Say that a file has been sent: from now on messages can show it",
        answer=uploads.CompletedUpload,
    ),
    Route(
        method="DELETE",
        path="/v1/chat/uploads/{uploadId}",
        handler=uploads.delete_upload,
        who="session",
        summary="Take back a file that is in no message",
        answer=uploads.RemovedUpload,
    ),
    Route(
        method="GET",
        path="/v1/chat/uploads/{uploadId}/access",
        handler=uploads.get_access,
        who="either",
        summary="Get the URL of a file",
        answer=Access,
    ),
)
