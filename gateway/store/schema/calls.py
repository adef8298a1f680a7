"""Calls and who is in them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text, text

from gateway.store.schema.metadata import METADATA

CALLS = Table(
    "calls",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("room_id", Text, ForeignKey("rooms.id", ondelete="CASCADE"), nullable=False),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("is_group", Boolean, nullable=False),
    Column("media_room", Text, nullable=False),
    Column("max_participants", Integer, nullable=False),
    Column("ring_s", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # When the ring is over; null once nobody is rung.
    Column("ring_until", BigInteger),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("end_reason", Text),
    # A room has one call at a time.
    Index(
        "calls_live",
        "room_id",
        unique=True,
        sqlite_where=text("status IN ('ringing', 'active')"),
        postgresql_where=text("status IN ('ringing', 'active')"),
    ),
    Index(
        "calls_due",
        "ring_until",
        sqlite_where=text("ring_until IS NOT NULL"),
        postgresql_where=text("ring_until IS NOT NULL"),
    ),
    Index("calls_by_room", "room_id", "id"),
)

CALL_PARTIES = Table(
    "call_parties",
    METADATA,
    Column("call_id", Text, ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("standing", Text, nullable=False),
    Column("device", Text),
    Column("joined_at", BigInteger),
    Column("left_at", BigInteger),
    # Small, however many calls there were: when a call is over, nobody is in it.
    Index(
        "call_parties_in_calls",
        "tenant_id",
        "user_id",
        sqlite_where=text("standing IN ('ringing', 'joined')"),
        postgresql_where=text("standing IN ('ringing', 'joined')"),
    ),
    sqlite_with_rowid=False,
)
