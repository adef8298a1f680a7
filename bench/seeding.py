"""A data folder with a past: rooms and messages by the hundred thousand, written straight into a stopped gateway's file.

Nothing is left out that a gateway would have by then: every message is in the rooms' and participants' counters, in all
indexes and in the index of words. Messages come in the order of their time, from one room after the other, so that those
of a room lie as far apart in the file as in a busy gateway's. Only the event log is empty, as after ``recovery.keep_s``.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import uuid_utils

from bench.gateway import Tenant
from gateway.records import now_ms
from gateway.store.sqlite import full_text
from gateway.store.sqlite.connection import connect

WORDS = [
    f"{first}{second}{third}"
    for first in "bdfgklmnprstvw"
    for second in "aeiou"
    for third in ("n", "st", "ra", "lo")
]
WORDS_OF_A_MESSAGE = 12
RARE = "rare"
RARE_ONE_IN = 10_000
"""How many messages there are to each that says it."""

BATCH = 50_000


def mixed(rooms: int, of: int, each: int) -> list[list[str]]:
    """Rosters of so many rooms, of people who are in no more than ``each`` of them; the same every time."""
    chance = random.Random(rooms)
    users = [f"user-{number:06d}" for number in range(max(of, -(-rooms * of // each)))]
    drawn: list[list[str]] = []
    while len(drawn) < rooms:
        order = chance.sample(users, len(users) // of * of)
        drawn += [order[first : first + of] for first in range(0, len(order), of)]
    return drawn[:rooms]


class Past:
    """What a tenant has before the measurement begins; to be changed only while its gateway does not run.

    Attributes:
        rooms: ids, in the order of the rosters.
    """

    def __init__(self, tenant: Tenant, rosters: Sequence[Sequence[str]]) -> None:
        self.tenant = tenant
        self._file = tenant.folder / "gateway.db"
        self.rooms = [str(uuid_utils.uuid7()) for _ in rosters]
        self.rosters = rosters
        self._chance = random.Random(len(rosters))
        self._began = now_ms() - 30 * 86_400_000
        with closing(self._connect()) as db:
            self._fill(db)

    def _fill(self, db: Any) -> None:
        """Users, rooms, participants."""
        tenant_id, at = self.tenant.id, self._began
        users = sorted({user_id for roster in self.rosters for user_id in roster})
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT INTO users (tenant_id, id, username, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
            [(tenant_id, user_id, user_id, at, at) for user_id in users],
        )
        db.executemany(
            """
            INSERT INTO rooms (id, tenant_id, name, is_frozen, created_at, activity_at, participant_count, next_position)
            VALUES (?, ?, ?, 0, ?, ?, ?, ?)
            """,
            [
                (room_id, tenant_id, f"Room {number}", at, at, len(roster), len(roster))
                for number, (room_id, roster) in enumerate(zip(self.rooms, self.rosters, strict=True))
            ],
        )
        db.executemany(
            """
            INSERT INTO participants (room_id, user_id, tenant_id, role, position, joined_at)
            VALUES (?, ?, ?, 'MEMBER', ?, ?)
            """,
            [
                (room_id, user_id, tenant_id, position, at)
                for room_id, roster in zip(self.rooms, self.rosters, strict=True)
                for position, user_id in enumerate(roster)
            ],
        )
        db.execute("COMMIT")

    def grow_to(self, messages: int) -> None:
        """Let there be so many messages, those included that were sent meanwhile; new ones go evenly to all rooms."""
        with closing(self._connect()) as db:
            ((stored,),) = db.execute("SELECT count(*) FROM messages").fetchall()
            newest = dict(db.execute("SELECT id, seq FROM rooms").fetchall())
            sent: Counter[tuple[str, str]] = Counter()
            for first in range(stored, messages, BATCH):
                said = [
                    self._message(number, newest) for number in range(first, min(first + BATCH, messages))
                ]
                sent.update((room_id, sender_id) for _, room_id, _, sender_id, *_ in said)
                db.execute("BEGIN IMMEDIATE")
                db.executemany(
                    """
                    INSERT INTO messages
                        (id, room_id, seq, sender_id, client_message_id, parts, preview_text, created_at, deleted_hidden)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)
                    """,
                    said,
                )
                cursor = db.cursor()
                while full_text.is_behind(cursor):
                    full_text.index(cursor)
                db.execute("COMMIT")
                db.wal_checkpoint()
            self._count(db, sent)
        with self._file.open("rb") as file:
            # Or the gateway's first sync of it would write all this: for 1.2 GB half a second of processor time, which sends
            # would be charged with.
            os.fsync(file.fileno())

    def _message(self, number: int, newest: dict[str, int]) -> tuple[Any, ...]:
        """The row of one more message; ``newest`` counts those of each room."""
        chance, place = self._chance, number % len(self.rooms)
        room_id = self.rooms[place]
        newest[room_id] += 1
        words = chance.choices(WORDS, k=WORDS_OF_A_MESSAGE)
        if chance.random() * RARE_ONE_IN < 1:
            words[0] = RARE
        text = " ".join(words)
        return (
            str(uuid_utils.uuid7()),
            room_id,
            newest[room_id],
            chance.choice(self.rosters[place]),
            str(uuid_utils.uuid4()),
            json.dumps([{"type": "text", "text": text}], separators=(",", ":")),
            text,
            self._began + number // 2,
        )

    def _count(self, db: Any, sent: Counter[tuple[str, str]]) -> None:
        """Bring what rooms and participants know of their messages up to date."""
        db.execute("BEGIN IMMEDIATE")
        db.execute(
            """
            UPDATE rooms SET (seq, last_seq, activity_at, last_at, last_preview) = (
                SELECT seq, seq, created_at, created_at, preview_text FROM messages
                WHERE room_id = rooms.id ORDER BY seq DESC LIMIT 1
            )
            WHERE EXISTS (SELECT 1 FROM messages WHERE room_id = rooms.id)
            """
        )
        db.executemany(
            "UPDATE participants SET skipped = skipped + ? WHERE room_id = ? AND user_id = ?",
            [(count, *whose) for whose, count in sent.items()],
        )
        db.execute("COMMIT")

    def _connect(self) -> Any:
        """The file, with no care for a failing power, and with memory for all that has to be sorted."""
        db = connect(self._file, synchronous="normal")
        db.pragma("synchronous", "off")
        db.pragma("cache_size", -2_000_000)
        return db
