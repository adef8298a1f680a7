"""Socket.IO 5 packets: text and attachments to records, and back.

::

    <type>[<attachments>-][<namespace>[?<query>],][<ack id>][<JSON>]

    2["typing",{"roomId":"r1"}]
    51-/custom,7["file",{"_placeholder":true,"num":0}]

What each type must carry:

    =============  ==========  ======  ====================================================
    type           namespace   ack id  JSON
    =============  ==========  ======  ====================================================
    CONNECT        optional    none    nothing or an object
    DISCONNECT     optional    none    nothing
    EVENT          optional    may     an array; its first item, the name, is not reserved
    ACK            optional    must    an array
    CONNECT_ERROR  optional    none    an object or a string
    =============  ==========  ======  ====================================================

BINARY_EVENT and BINARY_ACK are EVENT and ACK with at least one attachment: bytes that follow the packet as
binary messages, in order, and belong where its JSON says ``{"_placeholder":true,"num":<index>}``.

The codec is complete, for both ends; what the gateway does not use it refuses above this layer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, Final

import msgspec

from gateway.wire.engineio import ProtocolError

CONNECT: Final = 0
DISCONNECT: Final = 1
EVENT: Final = 2
ACK: Final = 3
CONNECT_ERROR: Final = 4
BINARY_EVENT: Final = 5
BINARY_ACK: Final = 6

# Names that mean something to the emitters of the clients, so that no peer may send them.
RESERVED_EVENTS: Final = frozenset(("connect", "connect_error", "disconnect", "disconnecting"))

# Everything before the JSON. It matches any text that starts with a type; what it leaves over must be JSON.
_HEAD: Final = re.compile(r"([0-6])(?:(?<=[56])([0-9]+)-)?(?:(/[^,]*),?)?([0-9]*)")
# 2 ** 53 - 1, the largest integer all clients can count to, has 16 digits.
_ID_DIGITS: Final = 16
_ATTACHMENT_DIGITS: Final = 6
# What the JSON of a type may be, events aside.
_PAYLOADS: Final[Mapping[int, tuple[type, ...]]] = {
    CONNECT: (NoneType, dict),
    DISCONNECT: (NoneType,),
    ACK: (list,),
    CONNECT_ERROR: (dict, str),
    BINARY_ACK: (list,),
}

_decode_json = msgspec.json.Decoder().decode
_encode_json = msgspec.json.Encoder().encode


class Packet(msgspec.Struct, frozen=True, gc=False):
    """One Socket.IO packet.

    Attributes:
        type: one of the constants of this module. A binary packet becomes an EVENT or an ACK when it has all
            its attachments.
        data: the decoded JSON: for an event ``[name, *arguments]``, for an ack the list of arguments; None
            when there was none.
        namespace: ``"/"`` is the root; a query string behind a namespace is dropped.
        id: an event that has one is to be acknowledged with it; an ack names the event's.
        attachments: how many binary messages are still to come.
    """

    type: int
    data: Any = None
    namespace: str = "/"
    id: int | None = None
    attachments: int = 0


def decode(text: str, decode_event: Callable[[str], Any] | None = None) -> Packet:
    """A packet as an Engine.IO text message carries it.

    Args:
        decode_event: tried first on the JSON of an event on the root namespace; what it returns is then the packet's
            ``data``. It raises ValueError for what it does not know.

    Raises:
        ProtocolError: ``unknown_packet_type``, ``bad_attachments``, ``bad_ack_id``, ``bad_json``,
            ``too_deep``, ``bad_payload``, ``bad_event`` (no name) or ``reserved_event``.
    """
    # Nearly every packet of a client: an event on the root namespace, with an ack id or without.
    if text[:1] == "2":
        start = text.find("[")
        digits = text[1:start]
        if start == 1 or (start > 1 and digits.isascii() and digits.isdigit()):
            json = text[start:]
            if decode_event is not None:
                try:
                    return Packet(EVENT, decode_event(json), "/", _ack_id(digits))
                except (ValueError, RecursionError):
                    pass
            return Packet(EVENT, _event(_json(json)), "/", _ack_id(digits))
    head = _HEAD.match(text)
    if head is None:
        raise ProtocolError("unknown_packet_type")
    kind, count, namespace, digits = head.groups()
    packet_type = int(kind)
    attachments = _attachments(count) if packet_type >= BINARY_EVENT else 0
    ack_id = _ack_id(digits)
    rest = text[head.end() :]
    data = _json(rest) if rest else None
    if rest and data is None:  # null, which no type may carry
        raise ProtocolError("bad_payload")
    payload = _payload(packet_type, data, has_id=ack_id is not None)
    return Packet(
        packet_type, payload, namespace.partition("?")[0] if namespace else "/", ack_id, attachments
    )


def _json(text: str) -> Any:
    try:
        return _decode_json(text)
    except RecursionError:
        raise ProtocolError("too_deep") from None
    except ValueError:  # malformed, a number out of range, or a lone surrogate
        raise ProtocolError("bad_json") from None


def _ack_id(digits: str) -> int | None:
    if len(digits) > _ID_DIGITS:
        raise ProtocolError("bad_ack_id")
    return int(digits) if digits else None


def _attachments(digits: str | None) -> int:
    if digits is None or len(digits) > _ATTACHMENT_DIGITS or int(digits) == 0:
        raise ProtocolError("bad_attachments")
    return int(digits)


def _payload(packet_type: int, data: Any, *, has_id: bool) -> Any:
    """``data``, if a packet of this type may carry it (the table above)."""
    if packet_type in (EVENT, BINARY_EVENT):
        return _event(data)
    if has_id is not (packet_type in (ACK, BINARY_ACK)):
        raise ProtocolError("bad_ack_id")
    if type(data) not in _PAYLOADS[packet_type]:
        raise ProtocolError("bad_payload")
    return data


def _event(data: Any) -> Any:
    if type(data) is not list or not data or type(data[0]) is not str:
        raise ProtocolError("bad_event")
    if data[0] in RESERVED_EVENTS:
        raise ProtocolError("reserved_event")
    return data


class Assembler:
    """Puts the binary packets of one connection together.

    Args:
        max_attachments: most attachments of one packet; each is at most as large as the transport's messages.
    """

    __slots__ = ("_max_attachments", "_pending")

    def __init__(self, *, max_attachments: int) -> None:
        self._max_attachments = max_attachments
        # The packet that waits for attachments, and those that came.
        self._pending: tuple[Packet, list[bytes]] | None = None

    def text(self, text: str) -> Packet | None:
        """Take a text message; None when attachments must follow.

        Raises:
            ProtocolError: what ``decode`` raises, ``too_many_attachments`` announced, or
                ``attachments_missing`` from the packet before.
        """
        if self._pending is not None:
            raise ProtocolError("attachments_missing")
        packet = decode(text)
        if not packet.attachments:
            return packet
        if packet.attachments > self._max_attachments:
            raise ProtocolError("too_many_attachments")
        self._pending = packet, []
        return None

    def binary(self, data: bytes) -> Packet | None:
        """Take a binary message; the packet, as an EVENT or ACK, when it was the last attachment.

        Raises:
            ProtocolError: ``unexpected_attachment``, or ``bad_placeholder`` when the placeholders are not
                exactly one for each attachment.
        """
        if self._pending is None:
            raise ProtocolError("unexpected_attachment")
        packet, attachments = self._pending
        attachments.append(data)
        if len(attachments) < packet.attachments:
            return None
        self._pending = None
        _fill(packet.data, attachments)
        whole = EVENT if packet.type == BINARY_EVENT else ACK
        return Packet(whole, packet.data, packet.namespace, packet.id)


def _fill(data: list[Any], attachments: list[bytes]) -> None:
    """Put the attachments where their placeholders are, in place. A loop, because ``data`` may be deep."""
    missing = set(range(len(attachments)))
    unseen: list[Any] = [data]
    while unseen:
        node = unseen.pop()
        for key, value in node.items() if type(node) is dict else enumerate(node):
            if type(value) is dict and value.get("_placeholder") is True:
                num = value.get("num")
                if type(num) is not int or num not in missing:
                    raise ProtocolError("bad_placeholder")
                missing.remove(num)
                node[key] = attachments[num]
            elif type(value) in (list, dict):
                unseen.append(value)
    if missing:
        raise ProtocolError("bad_placeholder")


def encode_connect(data: Mapping[str, Any] | None = None, *, namespace: str = "/") -> bytes:
    """The server's answer, ``{"sid": …}``, or a client's request with what it shows to be let in."""
    return _head(CONNECT, namespace) + (b"" if data is None else _encode_json(data))


def encode_connect_error(message: str, *, data: Any = None, namespace: str = "/") -> bytes:
    """The refusal of a CONNECT; clients raise ``message`` and show ``data``, if there is any."""
    error = {"message": message} if data is None else {"message": message, "data": data}
    return _head(CONNECT_ERROR, namespace) + _encode_json(error)


def encode_disconnect(*, namespace: str = "/") -> bytes:
    return _head(DISCONNECT, namespace)


def encode_ack(ack_id: int, *args: bytes, namespace: str = "/") -> bytes:
    """The acknowledgment of the event with that id; each of ``args`` is one JSON value."""
    if namespace == "/":
        return b"3%d[%b]" % (ack_id, b",".join(args))
    return _head(ACK, namespace, ack_id) + b"[" + b",".join(args) + b"]"


def encode_binary_event(
    name: str, args: Sequence[Any], *, namespace: str = "/", ack_id: int | None = None
) -> tuple[bytes, list[bytes]]:
    """An event whose arguments hold bytes anywhere within lists and dicts: the packet and its attachments.

    Without any bytes it is an ordinary event, as the protocol demands.

    Raises:
        ProtocolError: ``too_deep``.
    """
    return _encode_binary(EVENT, BINARY_EVENT, [name, *args], namespace, ack_id)


def encode_binary_ack(ack_id: int, args: Sequence[Any], *, namespace: str = "/") -> tuple[bytes, list[bytes]]:
    """As ``encode_binary_event``, for an acknowledgment."""
    return _encode_binary(ACK, BINARY_ACK, list(args), namespace, ack_id)


def _encode_binary(
    plain: int, binary: int, data: list[Any], namespace: str, ack_id: int | None
) -> tuple[bytes, list[bytes]]:
    attachments: list[bytes] = []
    try:
        payload = _encode_json(_extract(data, attachments))
    except RecursionError:
        raise ProtocolError("too_deep") from None
    if not attachments:
        return _head(plain, namespace, ack_id) + payload, []
    return _head(binary, namespace, ack_id, len(attachments)) + payload, attachments


def _extract(value: Any, attachments: list[bytes]) -> Any:
    """A copy of ``value`` with placeholders for the bytes in it, which are moved to ``attachments``."""
    if isinstance(value, bytes):
        attachments.append(value)
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, Mapping):
        return {key: _extract(item, attachments) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_extract(item, attachments) for item in value]
    return value


def _head(packet_type: int, namespace: str, ack_id: int | None = None, attachments: int = 0) -> bytes:
    """Everything before the JSON."""
    count = f"{attachments}-" if attachments else ""
    place = "" if namespace == "/" else f"{namespace},"
    return f"{packet_type}{count}{place}{'' if ack_id is None else ack_id}".encode()
