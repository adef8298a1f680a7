"""The message a Python peer makes of a POST, in the gateway's own shape and size."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any


def message_from(path: str, body: bytes) -> dict[str, Any]:
    posted = json.loads(body)
    return new_message(path.split("/")[4], posted["senderId"], posted["clientMessageId"], posted["parts"])


def new_message(
    room_id: str, sender_id: str, client_message_id: str | None, parts: list[dict[str, Any]]
) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "id": str(uuid.uuid4()),
        "roomId": room_id,
        "senderId": sender_id,
        "clientMessageId": client_message_id,
        "parts": parts,
        "previewText": parts[0]["text"],
        "createdAt": now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z",
        "parentMessageId": None,
        "parentMessage": None,
        "editedAt": None,
        "deletedAt": None,
        "deletedHidden": False,
        "reactions": [],
        "pinnedAt": None,
        "pinnedBy": None,
        "forwardedFromId": None,
        "forwardedFromSenderId": None,
    }
