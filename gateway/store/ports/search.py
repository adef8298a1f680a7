"""Finding again what was said, and where."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

import msgspec

from gateway.records import SearchPage

Scope: TypeAlias = Literal["all", "rooms", "messages"]


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What one user looks for.

    Attributes:
        text: as he typed it; whatever has all of its words, or words that begin so, is found.
        room_id: only messages of this room, and no rooms.
        participant_id: only in rooms that this user is in as well.
    """

    tenant_id: str
    viewer_id: str
    text: str
    scope: Scope = "all"
    room_id: str | None = None
    participant_id: str | None = None
    limit: int = 50
    cursor: str | None = None


class Search(Protocol):
    """Searching what a user can read, and nothing else."""

    async def search(self, query: SearchQuery) -> SearchPage:
        """The messages that say this, newest first, and the rooms called so, newest activity first.

        Messages are found once ``index_messages`` has seen them. A room without a name is called as those who
        are in it. With both in scope the first page has the rooms, at most ``limit``, and the cursor goes on with
        the messages. A page of rooms may be short, or empty, and yet not the last.

        Raises:
            NotFound: the viewer is not in the room he searches, or there is none.
            InvalidRequest: the cursor is not one of ours.
            Unavailable: too many are searching, or it took too long.
        """
        ...

    async def index_messages(self) -> bool:
        """Make some of the messages that were sent, edited or deleted lately findable as they are now.

        What is waiting survives a restart. Returns whether there may be more.
        """
        ...
