"""FastAPI and SQLAlchemy's ORM on uvicorn, listing rooms: what a team would write first, done well.

One query with the last message and the unread count of each room, indexed; sessions per request; models for the answer.
"""

# No "from __future__ import annotations": FastAPI reads the types of handlers made inside a function at run time.

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel
from sqlalchemy import ForeignKey, Index, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column

from bench.peers.serving import serve


class Base(DeclarativeBase):
    pass


class Room(Base):
    __tablename__ = "rooms"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    created_at: Mapped[str]
    last_message_id: Mapped[str | None]
    last_at: Mapped[str | None]


class Participant(Base):
    __tablename__ = "participants"
    user_id: Mapped[str] = mapped_column(primary_key=True)
    room_id: Mapped[str] = mapped_column(ForeignKey("rooms.id"), primary_key=True)
    read_seq: Mapped[int]
    last_read_message_id: Mapped[str | None]


class StoredMessage(Base):
    __tablename__ = "messages"
    __table_args__ = (Index("messages_by_room", "room_id", "seq"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    room_id: Mapped[str] = mapped_column(ForeignKey("rooms.id"))
    seq: Mapped[int]
    sender_id: Mapped[str]
    preview_text: Mapped[str]
    created_at: Mapped[str]


class LastMessage(BaseModel):
    previewText: str | None
    createdAt: str


class RoomSummary(BaseModel):
    id: str
    name: str | None
    avatarUrl: str | None = None
    externalId: str | None = None
    customType: str | None = None
    metadata: dict[str, str] | None = None
    isFrozen: bool = False
    lastMessage: LastMessage | None
    unreadCount: int
    lastReadMessageId: str | None
    createdAt: str


class RoomPage(BaseModel):
    rooms: list[RoomSummary]
    nextCursor: str | None = None


def application(secret: str, database: Path, rooms: dict[str, list[str]], messages: int) -> FastAPI:
    engine = create_engine(f"sqlite:///{database}", connect_args={"check_same_thread": False})
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for number, (room_id, user_ids) in enumerate(rooms.items()):
            _seed(session, number, room_id, user_ids, messages)
        session.commit()
    app = FastAPI(openapi_url=None)

    def caller(authorization: Annotated[str, Header()]) -> str:
        try:
            claims = jwt.decode(authorization.removeprefix("Bearer "), secret, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            raise HTTPException(401) from None
        return str(claims["sub"])

    def db() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    newest = aliased(StoredMessage)

    def list_rooms(
        user_id: Annotated[str, Depends(caller)], session: Annotated[Session, Depends(db)], limit: int = 50
    ) -> RoomPage:
        unread = (
            select(func.count())
            .where(
                StoredMessage.room_id == Room.id,
                StoredMessage.seq > Participant.read_seq,
                StoredMessage.sender_id != user_id,
            )
            .scalar_subquery()
        )
        query = (
            select(Room, Participant, newest, unread)
            .join(Participant, Participant.room_id == Room.id)
            .outerjoin(newest, newest.id == Room.last_message_id)
            .where(Participant.user_id == user_id)
            .order_by(Room.last_at.desc(), Room.id)
            .limit(limit)
        )
        return RoomPage(
            rooms=[
                RoomSummary(
                    id=room.id,
                    name=room.name,
                    lastMessage=last
                    and LastMessage(previewText=last.preview_text, createdAt=last.created_at),
                    unreadCount=count,
                    lastReadMessageId=participant.last_read_message_id,
                    createdAt=room.created_at,
                )
                for room, participant, last, count in session.execute(query)
            ]
        )

    app.get("/v1/chat/rooms")(list_rooms)
    return app


def _seed(session: Session, number: int, room_id: str, user_ids: list[str], messages: int) -> None:
    at = "2026-01-01T10:00:{:02d}.{:03d}Z"
    ids = [f"{room_id[:24]}{number:06x}{seq:06x}" for seq in range(messages)]
    session.add(
        Room(
            id=room_id,
            name=f"Room {number}",
            created_at=at.format(0, 0),
            last_message_id=ids[-1],
            last_at=at.format(number % 60, messages),
        )
    )
    session.flush()
    session.add_all(
        Participant(user_id=user_id, room_id=room_id, read_seq=0, last_read_message_id=None)
        for user_id in user_ids
    )
    session.add_all(
        StoredMessage(
            id=message_id,
            room_id=room_id,
            seq=seq + 1,
            sender_id=user_ids[seq % len(user_ids)],
            preview_text="x" * 100,
            created_at=at.format(number % 60, seq),
        )
        for seq, message_id in enumerate(ids)
    )


def main() -> None:
    """``PORT SECRET ROOMS_JSON DATABASE MESSAGES``: rooms are a JSON file of room id to user ids."""
    port, secret, rooms, database, messages = sys.argv[1:]
    app = application(secret, Path(database), json.loads(Path(rooms).read_text()), int(messages))
    serve(app, int(port))


if __name__ == "__main__":
    main()
