"""python-socketio on uvicorn: rooms by its in-memory manager. No token, no limits, nothing stored."""

from __future__ import annotations

import json
import sys
from typing import Any

import socketio  # type: ignore[import-untyped, unused-ignore]

from bench.peers.message import message_from
from bench.peers.serving import serve


def main() -> None:
    sio = socketio.AsyncServer(async_mode="asgi", transports=["websocket"], cors_allowed_origins="*")

    async def joined(sid: str, _environ: dict[str, Any], auth: dict[str, str]) -> None:
        await sio.enter_room(sid, auth["room"])

    async def typing(_sid: str, _typing: dict[str, Any]) -> None:
        """The return value is the ack."""

    async def post(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        message = message_from(scope["path"], body)
        await sio.emit("new-message", message, room=message["roomId"])
        answer = json.dumps(message).encode()
        headers = [
            (b"content-type", b"application/json; charset=utf-8"),
            (b"content-length", b"%d" % len(answer)),
        ]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    sio.on("connect", joined)
    sio.on("typing", typing)
    serve(socketio.ASGIApp(sio, other_asgi_app=post), int(sys.argv[1]))


if __name__ == "__main__":
    main()
