"""What is kept of who is in a room, and of what each has put out of his sight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from gateway.records import LogEvent, Membership, Role, RoomDetail
from gateway.store.ports.once import Once
from gateway.store.ports.rooms import NewParticipant


class RosterChange(msgspec.Struct, frozen=True):
    """What adding or removing a participant came to.

    Attributes:
        room: with the new roster, as the actor sees it; as nobody in particular for who has left, and for
            the API key.
        membership: what changed; None when there was nothing to do.
        events: what tells of it, in order: the change itself, for the participants and the one who joined or
            was removed; then the message about it, for the participants of now. Empty when there was nothing
            to do.
    """

    room: RoomDetail
    membership: Membership | None = None
    events: tuple[LogEvent, ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who is to be told of the change itself."""
        return self.events[0].user_ids if self.events else ()


class Participants(Protocol):
    """Rosters, and what a participant does to a room for himself alone.

    An ``actor_id`` of None is the API key, which may do everything. With ``by_server`` the API key asks in the
    actor's name; without a name, who joins or goes does so by himself.
    """

    async def add_participant(
        self,
        tenant_id: str,
        room_id: str,
        person: NewParticipant,
        *,
        actor_id: str | None,
        by_server: bool = False,
        max_participants: int = 1000,
        then: Callable[[RosterChange], None] | None = None,
        once: Once[RosterChange] | None = None,
    ) -> RosterChange:
        """Let somebody in; an unknown user is created. What was said before counts as read. A message tells
        of it.

        Raises:
            NotFound: no such room, or the actor is not in it.
            Forbidden: the actor is not an operator, or it is a direct conversation.
            InvalidRequest: the room is full.
        """
        ...

    async def remove_participant(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        actor_id: str | None,
        by_server: bool = False,
        then: Callable[[RosterChange], None] | None = None,
        once: Once[RosterChange] | None = None,
    ) -> RosterChange:
        """Leave (``actor_id`` is the user) or be removed. The last operator to go hands over to the member
        of longest standing. A message tells those who stay.

        Raises:
            NotFound: no such room, or the actor is not in it.
            Forbidden: the actor is not an operator and removes somebody else.
        """
        ...

    async def change_role(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        role: Role,
        *,
        actor_id: str | None,
        then: Callable[[RoomDetail], None] | None = None,
        once: Once[RoomDetail] | None = None,
    ) -> RoomDetail:
        """Make a participant an operator or a member; ``actor_id`` None is the API key.

        Raises:
            NotFound: no such room, or the actor or the user is not in it.
            Forbidden: the actor is not an operator.
            Conflict: the room would be left without an operator.
        """
        ...

    async def delete_room_for(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        then: Callable[[RosterChange | None], None] | None = None,
        once: Once[RosterChange | None] | None = None,
    ) -> RosterChange | None:
        """Put a room out of a user's sight, with its history so far: he leaves a group; a direct conversation
        is hidden from his list until its next message, and None returned.

        Raises:
            NotFound: no such room, or the user is not in it.
        """
        ...

    async def clear_history(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        then: Callable[[str], None] | None = None,
        once: Once[str] | None = None,
    ) -> str:
        """Make what was said so far disappear for this user alone; returns when, in ISO-8601.

        Raises:
            NotFound: no such room, or the user is not in it.
        """
        ...
