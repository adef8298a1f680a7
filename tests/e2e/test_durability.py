"""Nothing acknowledged is lost, doubled or reordered, whatever ends the process."""

from __future__ import annotations

import threading
import uuid
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.conftest import Opener
from tests.support.contract import Message
from tests.support.platform import Person, Platform, read
from tests.support.process import Gateway
from tests.support.sio import PythonClients

SENDERS = 4
ROUNDS = 3


class Sender(threading.Thread):
    """Sends one message after another until the server is gone; remembers what was acknowledged, and what was not."""

    def __init__(self, person: Person, room_id: str, acknowledged: threading.Semaphore) -> None:
        super().__init__(name=f"sender {person.id}")
        self.acknowledged: list[Message] = []
        self.unanswered: dict[str, Any] = {}
        self.person = person
        self._room_id = room_id
        self._count = acknowledged

    def run(self) -> None:
        while True:
            own_id = str(uuid.uuid4())
            body = {"clientMessageId": own_id, "parts": [{"type": "text", "text": own_id}]}
            self.unanswered = body
            try:
                answer = self.person.rest.post(f"/chat/rooms/{self._room_id}/messages", body)
            except httpx2.TransportError:
                return
            self.acknowledged.append(read(answer, Message))
            self._count.release()


def test_every_acknowledged_message_is_there_once_and_in_order_after_kill_9(data: Path) -> None:
    gateway = Gateway(data)
    keys = gateway.create_tenant()
    gateway.start()
    platform = Platform(gateway.url, keys.api_key)
    people = [platform.person(f"sender{number}") for number in range(SENDERS)]
    room = platform.room(*people)
    expected: list[Message] = []
    try:
        for round_ in range(ROUNDS):
            acknowledged = threading.Semaphore(0)
            senders = [Sender(person, room.id, acknowledged) for person in people]
            for sender in senders:
                sender.start()
            for _ in range(100 * (round_ + 1)):
                assert acknowledged.acquire(timeout=30), "messages are not acknowledged"

            gateway.kill()
            for sender in senders:
                sender.join()
            gateway.start()

            # Who got no answer asks again; it may have been stored or not, but now it is, once.
            retried = [
                read(sender.person.rest.post(f"/chat/rooms/{room.id}/messages", sender.unanswered), Message)
                for sender in senders
            ]
            history = people[0].history(room.id)
            position = {message.id: index for index, message in enumerate(history)}
            assert len(position) == len(history), "a message is listed twice"
            own_ids = [message.client_message_id for message in history]
            assert len(set(own_ids)) == len(own_ids), "a message is stored twice"

            answered = [message for sender in senders for message in sender.acknowledged]
            for message in [*expected, *answered, *retried]:
                assert history[position[message.id]] == message
            for sender in senders:
                order = [position[message.id] for message in sender.acknowledged]
                assert order == sorted(order), "a sender's messages changed places"
            times = [message.created_at for message in history]
            assert all(earlier < later for earlier, later in pairwise(times))
            assert len(history) == len(expected) + len(answered) + len(retried), (
                "there is more than was ever sent"
            )
            expected = history

        unread = people[0].rooms().rooms[0].unread_count
        assert unread == sum(message.sender_id != people[0].id for message in expected)
    finally:
        platform.close()
        gateway.kill()


def test_a_client_that_reconnects_by_itself_after_a_crash_is_served_again(
    data: Path, python_clients: PythonClients
) -> None:
    gateway = Gateway(data)
    keys = gateway.create_tenant()
    gateway.start()
    platform = Platform(gateway.url, keys.api_key)
    ann = platform.person("ann")
    room = platform.room(ann)
    device = python_clients.connect(gateway.url, auth=ann.auth, reconnection=True)
    device.inbox.take("@connected")
    try:
        gateway.kill()
        device.inbox.take("@disconnected")
        gateway.start()

        # No join is sent again, by the published clients neither (contract 4.8).
        device.inbox.take("@connected")
        device.inbox.take("new-message", id=ann.send(room.id, "after the crash").id)
    finally:
        device.close()
        platform.close()
        gateway.kill()


def test_an_orderly_end_keeps_what_was_under_way(data: Path) -> None:
    """SIGTERM in a stream of sends: an answer that came is true, a request that was taken is answered."""
    gateway = Gateway(data)
    keys = gateway.create_tenant()
    gateway.start()
    platform = Platform(gateway.url, keys.api_key)
    people = [platform.person(f"sender{number}") for number in range(SENDERS)]
    room = platform.room(*people)
    acknowledged = threading.Semaphore(0)
    senders = [StoppableSender(person, room.id, acknowledged) for person in people]
    try:
        for sender in senders:
            sender.start()
        for _ in range(50):
            assert acknowledged.acquire(timeout=30)
        assert gateway.stop() == 0
        for sender in senders:
            sender.join()
        gateway.start()

        stored = {message.id for message in people[0].history(room.id)}
        assert {message.id for sender in senders for message in sender.acknowledged} <= stored
    finally:
        platform.close()
        gateway.kill()


class StoppableSender(Sender):
    """As Sender, and content with a 503 as the end."""

    def run(self) -> None:
        try:
            super().run()
        except AssertionError as refused:
            assert refused.args[0][0] == 503, refused  # noqa: PT017  (what a stopping server may say)


def test_a_later_start_finds_everything_again(data: Path, device: Opener) -> None:
    gateway = Gateway(data)
    keys = gateway.create_tenant()
    gateway.start()
    platform = Platform(gateway.url, keys.api_key)
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob, name="Kept")
    sent = ann.send(room.id, "hello")
    bob.read_up_to(room.id)
    before = [person.rooms().rooms for person in (ann, bob)]
    try:
        assert gateway.stop() == 0
        gateway.start()

        assert [person.rooms().rooms for person in (ann, bob)] == before
        assert ann.history(room.id) == [sent]
        of_bob = device(bob)  # with the token minted before
        of_bob.inbox.take("new-message", id=ann.send(room.id, "again").id)
        of_bob.close()
    finally:
        platform.close()
        gateway.kill()
