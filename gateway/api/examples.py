"""One example for each body that REST reads or answers with, for the reference (and read by its tests)."""

from __future__ import annotations

from typing import Any, Final

_ROOM_ID: Final = "5f1d7f5e-2c7b-4a62-9d0e-3f4a1c2b9e10"
_MESSAGE_ID: Final = "0b8e6f0e-6a0e-4f0a-9b9a-0f2d0c1a7f01"
_CLIENT_MESSAGE_ID: Final = "c6b2e7a4-6d1f-4f0c-8a55-4b1f6f0e9d33"
_UPLOAD_ID: Final = "019b7a3c-5b1e-7c42-9a0d-6e2f1c3b4a55"
_CALL_ID: Final = "019b7a3c-7f42-7d10-8c33-2b9e5a6f7c01"
_CREATED: Final = "2026-01-01T09:00:00.000Z"
_SENT: Final = "2026-01-01T10:00:00.123Z"
_PARTS: Final = [{"type": "text", "text": "look"}]

_MESSAGE: Final = {
    "id": _MESSAGE_ID,
    "roomId": _ROOM_ID,
    "senderId": "u-ann",
    "clientMessageId": _CLIENT_MESSAGE_ID,
    "parts": _PARTS,
    "previewText": "look",
    "createdAt": _SENT,
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
_ROOM: Final = {
    "id": _ROOM_ID,
    "name": None,
    "avatarUrl": None,
    "externalId": "dm:u-ann:u-bob",
    "customType": "demo_dm",
    "metadata": None,
    "isFrozen": False,
    "lastMessage": {"previewText": "look", "createdAt": _SENT},
    "unreadCount": 1,
    "lastReadMessageId": None,
    "createdAt": _CREATED,
}
_ACCESS: Final = {
    "uploadId": _UPLOAD_ID,
    "accessUrl": f"https://chat.example.org/files/{_UPLOAD_ID}?expires=1767266100&signature=…",
    "accessUrlExpiresAt": "2026-01-01T11:15:00.000Z",
}
_CALL: Final = {
    "id": _CALL_ID,
    "roomId": _ROOM_ID,
    "type": "video",
    "status": "ringing",
    "livekitRoomName": f"fc_t-1_{_ROOM_ID}_{_CALL_ID}",
    "createdByUserId": "u-ann",
    "isGroup": False,
    "createdAt": _SENT,
    "startedAt": None,
    "endedAt": None,
    "endReason": None,
    "participants": [
        {"userId": "u-ann", "status": "joined", "joinedAt": _SENT, "leftAt": None},
        {"userId": "u-bob", "status": "ringing", "joinedAt": None, "leftAt": None},
    ],
}
_MEDIA: Final = {
    "url": "wss://media.example.org",
    "token": "eyJhbGciOiJIUzI1NiIs…",
    "expiresAt": "2026-01-01T10:10:00.123Z",
}
_APP: Final = {
    "id": "3b0c9e55-4a53-4c6b-9d4e-0f5a8b1c2d30",
    "appCode": "shop",
    "name": "Shop",
    "pushPayloadType": "FULL",
    "hasOneSignalConfig": True,
    "hasFcmConfig": False,
    "hasPushyConfig": False,
    "createdAt": _CREATED,
    "updatedAt": _CREATED,
}
_ONE_SIGNAL: Final = {"appId": "5eb5a37e-b458-11e3-ac11-000c2940e62c", "restApiKey": "os_v2_app_…"}
_SETTINGS: Final = {
    "chat": {
        "deletedMessageDisplay": "placeholder",
        "deletedMessagePlaceholder": "This message was deleted",
        "media": {
            "enabled": True,
            "maxFileSizeBytes": 10_485_760,
            "maxImageSizeBytes": 5_242_880,
            "allowedMimeTypes": ["*/*"],
            "presignTtlSeconds": 300,
        },
    },
    "calls": {
        "enabled": True,
        "maxParticipants": 8,
        "defaultType": "video",
        "ringTimeoutSeconds": 45,
        "creatorEndLeaves": False,
    },
    "presence": {"tenantLimit": 2000, "scope": "auto"},
}

EXAMPLES: Final[dict[str, Any]] = {
    "Problem": {
        "statusCode": 404,
        "error": "There is no such room.",
        "message": "There is no such room.",
        "code": "not_found",
    },
    "UserBody": {"id": "u-ann", "username": "Ann"},
    "User": {
        "id": "u-ann",
        "username": "Ann",
        "appCode": None,
        "avatarUrl": None,
        "metadata": None,
        "createdAt": _CREATED,
        "updatedAt": _CREATED,
    },
    "UserPage": {"users": [{"id": "u-ann", "username": "Ann", "avatarUrl": None}], "nextCursor": None},
    "TokenBody": {"userId": "u-ann", "expiresIn": 3600},
    "Session": {"token": "eyJhbGciOiJIUzI1NiIs…", "expiresAt": "2026-01-01T11:00:00.000Z"},
    "RevokedSessions": {"revokedAt": "2026-01-01T10:00:00.000Z"},
    "DeviceBody": {"provider": "ONESIGNAL", "token": "8a3d1f52-subscription", "platform": "ios"},
    "Device": {
        "id": "7d1f0c34-9e57-4b7e-8b0a-2c6f1f0f3b11",
        "provider": "ONESIGNAL",
        "token": "8a3d1f52-subscription",
        "platform": "ios",
        "createdAt": _CREATED,
    },
    "ForgottenDevice": {"removed": True},
    "AppBody": {"appCode": "shop", "name": "Shop", "oneSignalConfig": _ONE_SIGNAL},
    "AppPatchBody": {"pushPayloadType": "DATA", "fcmConfig": None},
    "AppView": _APP,
    "AppList": {"apps": [_APP]},
    "DeletedApp": {"appCode": "shop", "detachedUsers": 3},
    "SettingsPatch": {
        "chat": {"deletedMessageDisplay": "hidden"},
        "webhookUrl": "https://example.org/hooks/chat",
    },
    "SettingsView": {
        **_SETTINGS,
        "id": "t-1",
        "name": "Example",
        "webhookUrl": "https://example.org/hooks/chat",
        "createdAt": _CREATED,
    },
    "RoomBody": {
        "name": "Team",
        "customType": "demo_group",
        "participants": [{"id": "u-ann", "role": "OPERATOR"}, {"id": "u-bob", "username": "Bob"}],
    },
    "RoomPatchBody": {"name": "The team", "isFrozen": False},
    "RoomDetail": {
        **_ROOM,
        "participants": [
            {
                "userId": "u-ann",
                "role": "OPERATOR",
                "username": "Ann",
                "avatarUrl": None,
                "joinedAt": _CREATED,
            },
            {
                "userId": "u-bob",
                "role": "MEMBER",
                "username": "Bob",
                "avatarUrl": None,
                "joinedAt": _CREATED,
            },
        ],
    },
    "JoinBody": {"userId": "u-cid", "username": "Cid", "actorUserId": "u-ann"},
    "RoleBody": {"role": "OPERATOR"},
    "DeletedForMe": {"roomId": _ROOM_ID, "action": "hidden", "left": False, "hidden": True},
    "ClearBody": {"userId": "u-bob"},
    "ClearedHistory": {"roomId": _ROOM_ID, "clearedAt": _SENT},
    "RoomPage": {"rooms": [_ROOM], "nextCursor": None},
    "MessageBody": {"senderId": "u-ann", "clientMessageId": _CLIENT_MESSAGE_ID, "parts": _PARTS},
    "Message": _MESSAGE,
    "MessagePage": {
        "messages": [_MESSAGE],
        "nextCursor": None,
        "peerLastReadAt": "2026-01-01T10:00:05.000Z",
        "peerLastDeliveredAt": None,
    },
    "EditBody": {"userId": "u-ann", "parts": _PARTS},
    "ReactionBody": {"userId": "u-bob", "emoji": "👍"},
    "StartBody": {"type": "video"},
    "EndBody": {"reason": "cancelled"},
    "JoinedCall": {"call": _CALL, "livekit": _MEDIA, "ringTimeoutSeconds": 45},
    "CallView": {**_CALL, "call": _CALL},
    "CallToken": {**_MEDIA, "livekit": _MEDIA},
    "ActiveCall": {"call": _CALL},
    "CallPage": {"calls": [_CALL], "nextCursor": None},
    "PinBody": {"userId": "u-bob"},
    "ForwardBody": {"userId": "u-bob", "targetRoomIds": ["9a0c7b36-5b0e-4c55-8d5c-7f3f0e6d1a22"]},
    "MessageList": {"messages": [_MESSAGE]},
    "SearchPage": {"rooms": [_ROOM], "messages": [_MESSAGE], "nextCursor": None},
    "ReplyPage": {"messages": [_MESSAGE], "nextCursor": None},
    "Storage": {"bytesUsed": 1_048_576, "fileCount": 3, "pendingBytes": 0},
    "PresignBody": {
        "filename": "cat.png",
        "mediaType": "image/png",
        "sizeBytes": 48_123,
        "roomId": _ROOM_ID,
    },
    "Presigned": {
        "uploadId": _UPLOAD_ID,
        "uploadUrl": f"https://chat.example.org/files/{_UPLOAD_ID}?expires=1767262200&signature=…",
        "method": "PUT",
        "uploadUrlExpiresAt": "2026-01-01T10:10:00.000Z",
    },
    "CompletedUpload": {
        "uploadId": _UPLOAD_ID,
        "status": "completed",
        "filename": "cat.png",
        "mediaType": "image/png",
        "sizeBytes": 48_123,
    },
    "RemovedUpload": {"uploadId": _UPLOAD_ID, "removed": True},
    "AccessBody": {"uploadIds": [_UPLOAD_ID]},
    "Access": _ACCESS,
    "AccessList": {"urls": [_ACCESS]},
    "TakenWebhook": {"taken": True},
    "DeliveryBody": {"userId": "u-bob", "lastDeliveredMessageId": _MESSAGE_ID},
    "DeliveryMark": {
        "roomId": _ROOM_ID,
        "userId": "u-bob",
        "lastDeliveredAt": "2026-01-01T10:00:01.000Z",
        "lastDeliveredMessageId": _MESSAGE_ID,
    },
    "ReadBody": {"userId": "u-bob", "lastReadMessageId": _MESSAGE_ID},
    "ReadMark": {
        "roomId": _ROOM_ID,
        "userId": "u-bob",
        "lastReadAt": "2026-01-01T10:00:05.000Z",
        "lastReadMessageId": _MESSAGE_ID,
        "unreadCount": 0,
    },
}
