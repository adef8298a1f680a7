"""In LiveKit's place: a media server that keeps names of rooms, has nobody in them, and answers at once.

Usage: ``python -m bench.media PORT``. What a call costs the gateway is measured, not what it costs LiveKit; the request
that makes the room is part of it.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.message import Message
from livekit.protocol import models, room


class Rooms:
    """What was made and not deleted."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def answer(self, method: str, body: bytes) -> Message:
        """To one request of the RoomService; whoever sent it is believed."""
        match method:
            case "CreateRoom":
                name = room.CreateRoomRequest.FromString(body).name
                self._names.add(name)
                return models.Room(name=name)
            case "DeleteRoom":
                self._names.discard(room.DeleteRoomRequest.FromString(body).room)
                return room.DeleteRoomResponse()
            case "ListRooms":
                return room.ListRoomsResponse(rooms=[models.Room(name=name) for name in list(self._names)])
            case _:
                return room.ListParticipantsResponse()


def serve(port: int) -> None:
    rooms = Rooms()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = (
            -1
        )  # head and body in one packet: the second would wait for the acknowledgement of the first

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = rooms.answer(self.path.rpartition("/")[2], body).SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"listening on http://127.0.0.1:{port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
