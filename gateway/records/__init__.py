"""What the layers hand to each other: frozen records, named and shaped as the wire knows them (contract 3).

Records with ``rename="camel"`` encode to the contract's JSON as they are. Times in them are ISO-8601 UTC with milliseconds
(``iso``); inside the store a time is an integer of milliseconds since the epoch.
"""

from __future__ import annotations

from gateway.records.accounts import (
    Device,
    PayloadType,
    Person,
    Provider,
    Settings,
    Tenant,
    TenantApp,
    User,
    UserPage,
)
from gateway.records.log import LogEvent, LogSpan, Return
from gateway.records.messages import (
    SERVER_MADE,
    DeliveryMark,
    MarkedRead,
    Message,
    MessageList,
    MessagePage,
    ParentMessage,
    Reaction,
    ReadMark,
    ReplyPage,
    RoomRead,
    SearchPage,
    Sent,
)
from gateway.records.rooms import (
    LastMessage,
    Membership,
    Participant,
    ParticipantsChanged,
    Role,
    RoomDetail,
    RoomPage,
    RoomSummary,
    Roster,
)
from gateway.records.times import iso, now_ms
from gateway.records.uploads import Readable, Storage, Upload

__all__ = [
    "SERVER_MADE",
    "DeliveryMark",
    "Device",
    "LastMessage",
    "LogEvent",
    "LogSpan",
    "MarkedRead",
    "Membership",
    "Message",
    "MessageList",
    "MessagePage",
    "ParentMessage",
    "Participant",
    "ParticipantsChanged",
    "PayloadType",
    "Person",
    "Provider",
    "Reaction",
    "ReadMark",
    "Readable",
    "ReplyPage",
    "Return",
    "Role",
    "RoomDetail",
    "RoomPage",
    "RoomRead",
    "RoomSummary",
    "Roster",
    "SearchPage",
    "Sent",
    "Settings",
    "Storage",
    "Tenant",
    "TenantApp",
    "Upload",
    "User",
    "UserPage",
    "iso",
    "now_ms",
]
