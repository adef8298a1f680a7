"""FastAPI on uvicorn, taking messages: a bearer token, membership, a durable insert, a commit per request.

The same durable write as the gateway's: SQLite in WAL mode with ``synchronous=FULL``. Of what the gateway does besides, it
leaves out idempotency, unread counts, limits and telling anyone. It comes in three ways, since either of the first two
may be called the usual one: ``loop`` has an ``async`` handler that calls SQLite directly (less CPU), ``threads`` a plain
one in FastAPI's thread pool (other requests go on during a commit), ``stub`` keeps nothing: FastAPI by itself.
"""

# No "from __future__ import annotations": FastAPI reads the types of handlers made inside a function at run time.

import json
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

from bench.peers.message import new_message
from bench.peers.serving import serve

_SCHEMA = """
CREATE TABLE rooms (id TEXT PRIMARY KEY, seq INTEGER NOT NULL, last_message_id TEXT, last_at TEXT) WITHOUT ROWID;
CREATE TABLE participants (room_id TEXT, user_id TEXT, PRIMARY KEY (room_id, user_id)) WITHOUT ROWID;
CREATE TABLE messages (
    id TEXT PRIMARY KEY, room_id TEXT NOT NULL, seq INTEGER NOT NULL, sender_id TEXT NOT NULL,
    client_message_id TEXT, parts TEXT NOT NULL, preview_text TEXT, created_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX messages_by_room ON messages (room_id, seq);
"""


class Part(BaseModel):
    type: str
    text: str


class NewMessage(BaseModel):
    senderId: str
    clientMessageId: str | None = None
    parts: list[Part] = Field(min_length=1)


class Message(BaseModel):
    id: str
    roomId: str
    senderId: str
    clientMessageId: str | None
    parts: list[Part]
    previewText: str | None
    createdAt: str
    parentMessageId: str | None = None
    parentMessage: dict[str, Any] | None = None
    editedAt: str | None = None
    deletedAt: str | None = None
    deletedHidden: bool = False
    reactions: list[dict[str, str]] = []
    pinnedAt: str | None = None
    pinnedBy: str | None = None
    forwardedFromId: str | None = None
    forwardedFromSenderId: str | None = None


class Database:
    """One connection, and a lock for it: SQLite has one writer at a time, however many ask."""

    def __init__(self, path: Path, rooms: dict[str, list[str]]) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN")
        for room_id, user_ids in rooms.items():
            self._db.execute("INSERT INTO rooms VALUES (?, 0, NULL, NULL)", (room_id,))
            self._db.executemany(
                "INSERT INTO participants VALUES (?, ?)", [(room_id, user_id) for user_id in user_ids]
            )
        self._db.execute("COMMIT")

    def save(self, message: dict[str, Any]) -> bool:
        """Store durably; False when the sender is not in the room."""
        room_id, sender_id = message["roomId"], message["senderId"]
        with self._lock, closing(self._db.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            found = cursor.execute(
                "SELECT seq FROM rooms JOIN participants ON room_id = id WHERE id = ? AND user_id = ?",
                (room_id, sender_id),
            ).fetchone()
            if found is None:
                cursor.execute("ROLLBACK")
                return False
            seq = found[0] + 1
            cursor.execute(
                "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    message["id"],
                    room_id,
                    seq,
                    sender_id,
                    message["clientMessageId"],
                    json.dumps(message["parts"]),
                    message["previewText"],
                    message["createdAt"],
                ),
            )
            cursor.execute(
                "UPDATE rooms SET seq = ?, last_message_id = ?, last_at = ? WHERE id = ?",
                (seq, message["id"], message["createdAt"], room_id),
            )
            cursor.execute("COMMIT")
        return True


def application(secret: str, database: Database | None, *, threads: bool) -> FastAPI:
    app = FastAPI(openapi_url=None)

    async def caller(authorization: Annotated[str, Header()]) -> str:
        try:
            claims = jwt.decode(authorization.removeprefix("Bearer "), secret, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            raise HTTPException(401) from None
        return str(claims["sub"])

    def post_message(room_id: str, message: NewMessage, user_id: Annotated[str, Depends(caller)]) -> Message:
        if message.senderId != user_id:
            raise HTTPException(403)
        parts = [part.model_dump() for part in message.parts]
        stored = new_message(room_id, user_id, message.clientMessageId, parts)
        if database is not None and not database.save(stored):
            raise HTTPException(404)
        return Message(**stored)

    async def post_message_on_loop(
        room_id: str, message: NewMessage, user_id: Annotated[str, Depends(caller)]
    ) -> Message:
        return post_message(room_id, message, user_id)

    handler = post_message if threads else post_message_on_loop
    app.post("/v1/chat/rooms/{room_id}/messages", status_code=201)(handler)
    return app


def main() -> None:
    """``PORT SECRET ROOMS_JSON DATABASE loop|threads|stub``; rooms are a JSON file of room id to user ids."""
    port, secret, rooms, path, way = sys.argv[1:]
    database = None if way == "stub" else Database(Path(path), json.loads(Path(rooms).read_text()))
    serve(application(secret, database, threads=way == "threads"), int(port))


if __name__ == "__main__":
    main()
