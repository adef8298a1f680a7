"""Who may call what, row by row: what ``test_access.py`` asks of the whole route table."""

from __future__ import annotations

from typing import Any

CREDENTIALS = (
    "key",
    "operator",
    "member",
    "third",
    "stranger",
    "other key",
    "other user",
    "expired token",
    "garbage token",
    "garbage key",
    "none",
)
BAD = dict.fromkeys(("expired token", "garbage token", "garbage key", "none"), 401)
USERS = ("operator", "member", "third", "stranger", "other user")


def everyone(**expected: int) -> dict[str, int]:
    """The status each credential gets; ``rest`` for those not named. Bad credentials always get 401.

    The message that rows are about is the member's; the third is a member like him.
    """
    named = {name.replace("_", " "): status for name, status in expected.items() if name != "rest"}
    named.setdefault("third", named.get("member", expected["rest"]))
    return {name: named.get(name, expected["rest"]) for name in CREDENTIALS} | BAD | named


KEY_ONLY = dict.fromkeys(USERS, 403)
SESSION_ONLY = {"key": 403, "other key": 403}
IN_ROOM = {"rest": 200, "stranger": 404, "other_key": 404, "other_user": 404}
_CALL = "/v1/chat/rooms/{roomId}/calls/{callId}"
DEVICE = {"provider": "FCM", "token": "t"}
# What each row answers to each credential, and the body it is sent. A route without an entry fails the first
# test.
EXPECTED: dict[tuple[str, str], tuple[Any, dict[str, int]]] = {
    ("POST", "/v1/users"): ({"id": "new"}, everyone(rest=200) | KEY_ONLY),
    ("GET", "/v1/users"): (None, everyone(rest=200)),
    ("POST", "/v1/auth/token"): ({"userId": "member"}, everyone(rest=201, other_key=404) | KEY_ONLY),
    ("POST", "/v1/auth/revoke"): (None, everyone(rest=200) | SESSION_ONLY),
    ("POST", "/v1/users/{userId}/revoke-sessions"): (None, everyone(rest=200, other_key=404) | KEY_ONLY),
    ("GET", "/v1/tenant/settings"): (None, everyone(rest=200)),
    ("PATCH", "/v1/tenant/settings"): ({}, everyone(rest=200) | KEY_ONLY),
    ("POST", "/v1/users/me/device-tokens"): (DEVICE, everyone(rest=201) | SESSION_ONLY),
    ("DELETE", "/v1/users/me/device-tokens/{token}"): (None, everyone(rest=200) | SESSION_ONLY),
    ("POST", "/v1/users/{userId}/device-tokens"): (DEVICE, everyone(rest=201, other_key=404) | KEY_ONLY),
    ("GET", "/v1/tenant-apps"): (None, everyone(rest=200) | KEY_ONLY),
    ("POST", "/v1/tenant-apps"): ({"appCode": "new"}, everyone(rest=201) | KEY_ONLY),
    ("GET", "/v1/tenant-apps/{appCode}"): (None, everyone(rest=200, other_key=404) | KEY_ONLY),
    ("PATCH", "/v1/tenant-apps/{appCode}"): ({}, everyone(rest=200, other_key=404) | KEY_ONLY),
    ("DELETE", "/v1/tenant-apps/{appCode}"): (None, everyone(rest=200, other_key=404) | KEY_ONLY),
    ("GET", "/v1/chat/rooms"): (None, everyone(rest=200)),
    ("POST", "/v1/chat/rooms"): ({"participants": [{"id": "somebody"}]}, everyone(rest=201)),
    ("GET", "/v1/chat/rooms/{roomId}"): (
        None,
        everyone(rest=200, stranger=404, other_key=404, other_user=404),
    ),
    ("PATCH", "/v1/chat/rooms/{roomId}"): (
        {"name": "new"},
        everyone(rest=200, member=403, stranger=404, other_key=404, other_user=404),
    ),
    ("POST", "/v1/chat/rooms/{roomId}/participants"): (
        {"userId": "somebody"},
        everyone(rest=200, member=403, stranger=404, other_key=404, other_user=404),
    ),
    ("DELETE", "/v1/chat/rooms/{roomId}/participants/{userId}"): (
        None,
        everyone(rest=200, member=403, third=200, stranger=404, other_key=404, other_user=404),
    ),
    ("PATCH", "/v1/chat/rooms/{roomId}/participants/{userId}"): (
        {"role": "OPERATOR"},
        everyone(rest=200, member=403, stranger=404, other_key=404, other_user=404),
    ),
    ("DELETE", "/v1/chat/rooms/{roomId}/for-me"): (
        None,
        everyone(rest=200, stranger=404, other_key=404, other_user=404),
    ),
    ("GET", "/v1/chat/rooms/{roomId}/calls"): (None, everyone(**IN_ROOM)),
    ("POST", "/v1/chat/rooms/{roomId}/calls"): (
        {},
        everyone(rest=201, stranger=404, other_user=404) | SESSION_ONLY,
    ),
    ("GET", "/v1/chat/rooms/{roomId}/calls/active"): (None, everyone(**IN_ROOM) | SESSION_ONLY),
    # The operator's own.
    ("POST", f"{_CALL}/accept"): ({}, everyone(**IN_ROOM | {"operator": 409}) | SESSION_ONLY),
    ("POST", f"{_CALL}/decline"): ({}, everyone(**IN_ROOM | {"operator": 409}) | SESSION_ONLY),
    ("POST", f"{_CALL}/end"): ({}, everyone(**IN_ROOM | {"member": 403}) | SESSION_ONLY),
    ("POST", f"{_CALL}/leave"): ({}, everyone(**IN_ROOM) | SESSION_ONLY),
    ("POST", f"{_CALL}/token"): ({}, everyone(**IN_ROOM) | SESSION_ONLY),
    ("POST", "/v1/chat/rooms/{roomId}/clear-history"): (
        {},
        everyone(rest=200, stranger=404, other_key=404, other_user=404),
    ),
    ("GET", "/v1/chat/rooms/{roomId}/messages"): (
        None,
        everyone(rest=200, stranger=404, other_key=404, other_user=404),
    ),
    ("POST", "/v1/chat/rooms/{roomId}/messages"): (
        {"parts": [{"type": "text", "text": "hi"}]},
        everyone(rest=201, stranger=404, other_key=404, other_user=404),
    ),
    ("PATCH", "/v1/chat/rooms/{roomId}/messages/{messageId}"): (
        {"parts": [{"type": "text", "text": "hi"}]},
        everyone(rest=200, operator=403, third=403, stranger=404, other_key=404, other_user=404),
    ),
    ("DELETE", "/v1/chat/rooms/{roomId}/messages/{messageId}"): (
        None,
        everyone(rest=200, third=403, stranger=404, other_key=404, other_user=404),
    ),
    ("POST", "/v1/chat/rooms/{roomId}/messages/{messageId}/reactions"): (
        {"emoji": "x"},
        everyone(rest=200, stranger=404, other_key=404, other_user=404),
    ),
    ("POST", "/v1/chat/rooms/{roomId}/messages/{messageId}/pin"): (
        {},
        everyone(rest=200, stranger=404, other_key=404, other_user=404),
    ),
    ("DELETE", "/v1/chat/rooms/{roomId}/messages/{messageId}/pin"): (
        None,
        everyone(rest=200, stranger=404, other_key=404, other_user=404),
    ),
    ("GET", "/v1/chat/rooms/{roomId}/pinned-messages"): (
        None,
        everyone(rest=200, stranger=404, other_key=404, other_user=404),
    ),
    ("POST", "/v1/chat/rooms/{roomId}/messages/{messageId}/forward"): (
        {"targetRoomIds": ["{roomId}"]},
        everyone(rest=201, stranger=404, other_key=404, other_user=404),
    ),
    ("GET", "/v1/chat/rooms/{roomId}/messages/{messageId}/replies"): (
        None,
        everyone(rest=200, stranger=404, other_key=404, other_user=404),
    ),
    ("POST", "/v1/chat/rooms/{roomId}/delivery"): (
        {},
        everyone(rest=200, stranger=404, other_key=404, other_user=404),
    ),
    ("GET", "/v1/chat/search"): (None, everyone(rest=200, key=400, other_key=400)),
    ("POST", "/v1/chat/rooms/{roomId}/read"): (
        {},
        everyone(rest=200, stranger=404, other_key=404, other_user=404),
    ),
    ("POST", "/v1/livekit/webhook"): (None, dict.fromkeys(CREDENTIALS, 401)),
    ("GET", "/v1/tenant/storage"): (None, everyone(rest=200)),
    ("POST", "/v1/chat/uploads/presign"): (
        {"filename": "a.png", "mediaType": "image/png", "sizeBytes": 3, "roomId": "{roomId}"},
        everyone(rest=201, stranger=404, other_user=404) | SESSION_ONLY,
    ),
    ("POST", "/v1/chat/uploads/access"): ({"uploadIds": ["{uploadId}"]}, everyone(rest=200)),
    ("POST", "/v1/chat/uploads/{uploadId}/complete"): (
        None,
        everyone(rest=404, member=200, third=404) | SESSION_ONLY,
    ),
    ("DELETE", "/v1/chat/uploads/{uploadId}"): (
        None,
        everyone(rest=404, member=200, third=404) | SESSION_ONLY,
    ),
    ("GET", "/v1/chat/uploads/{uploadId}/access"): (
        None,
        everyone(rest=404, key=200, member=200, third=404),
    ),
}
# What a row cannot be asked without.
QUERIES = {"/v1/chat/search": "?q=hi"}
# Where the API key must say as whom it acts: in the body, or in the query of what has none.
ACTING = {
    "/v1/chat/rooms/{roomId}/messages": "senderId",
    "/v1/chat/rooms/{roomId}/messages/{messageId}/reactions": "userId",
    "/v1/chat/rooms/{roomId}/messages/{messageId}/forward": "userId",
    "/v1/chat/rooms/{roomId}/delivery": "userId",
    "/v1/chat/rooms/{roomId}/read": "userId",
    "/v1/chat/rooms/{roomId}/for-me": "userId",
    "/v1/chat/rooms/{roomId}/clear-history": "userId",
}
