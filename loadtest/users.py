"""The scenarios' users: locust classes, one for each way of spending a day.

Every user comes to where his scenario begins, waits there until all others have come too, and then repeats his task
with pauses until the run is over.
"""

from __future__ import annotations

import random
from contextlib import suppress
from itertools import accumulate

import gevent
from locust import FastHttpUser, between, task
from locust.env import Environment

from loadtest.crowd import Crowd
from loadtest.device import Device, DeviceError
from loadtest.platform import Platform
from loadtest.scenarios import LARGEST_ROOM

RENEWALS = 0.02
"""So often a turn begins with a fresh token; a real client does so once in 55 minutes."""

MESSAGES_PER_S_OF_A_LARGE_ROOM = 2.0
TALK_S = 1.0


class LoadEnvironment(Environment):
    """Locust's environment, and what the users of a run share."""

    crowd: Crowd
    platform: Platform


class Member(FastHttpUser):
    """Somebody with his first room open."""

    abstract = True
    environment: LoadEnvironment
    wait_time = between(1, 3)
    max_retries = 0

    def __init__(self, environment: LoadEnvironment) -> None:
        super().__init__(environment)
        crowd = environment.crowd
        self.number, self.person = crowd.next()
        self.device = Device(
            self.person, self.client, platform=environment.platform, crowd=crowd, environment=environment
        )
        crowd.can_be_cut(self.device.cut)

    def on_start(self) -> None:
        crowd = self.environment.crowd
        try:
            self.prepare()
        finally:
            crowd.arrived()
        crowd.all_there.wait()
        self.begin()

    def prepare(self) -> None:
        """What is done before the others are there."""
        self.device.sign_in()
        self.device.connect()
        self.device.list_rooms()
        self.device.open(self.person.rooms[0])

    def begin(self) -> None:
        """What is done once all are there; turns that all began in one moment would come in waves."""
        gevent.sleep(random.random() * self.wait_time())

    def on_stop(self) -> None:
        self.device.leave()

    @task
    def turn(self) -> None:
        # A refusal is counted where it happened; a user who got one tries something else.
        with suppress(DeviceError):
            if random.random() < RENEWALS:
                self.device.renew()
            self.act()

    def act(self) -> None:
        """One turn."""
        self.device.send(self.person.rooms[0])


class Talker(Member):
    """Writes to the one room that he is in."""


class Arriving(Member):
    """Comes in at the same moment as everybody else, and then looks around."""

    def prepare(self) -> None:
        self.device.sign_in()

    def begin(self) -> None:
        self.device.connect()
        self.device.list_rooms()
        self.device.open(self.person.rooms[0])

    def act(self) -> None:
        self.device.list_rooms()


class Listener(Member):
    """One of many in a room: all of them together write a little."""

    def wait_time(self) -> float:
        among = min(self.environment.crowd.size, LARGEST_ROOM)
        return random.uniform(0.5, 1.5) * among / MESSAGES_PER_S_OF_A_LARGE_ROOM


class Wanderer(Member):
    """Goes from room to room, to few of them often and to most of them seldom (Zipf)."""

    def __init__(self, environment: LoadEnvironment) -> None:
        super().__init__(environment)
        # Rooms are numbered alike for everybody, so the busy ones are busy for all.
        self._weights = list(accumulate(1 / rank for rank in range(1, len(self.person.rooms) + 1)))

    def act(self) -> None:
        (room_id,) = random.choices(self.person.rooms, cum_weights=self._weights)
        if room_id != self.device.room:
            self.device.open(room_id)
        self.device.send(room_id)


class Typist(Member):
    """Cannot make up his mind what to write."""

    wait_time = between(0.2, 0.6)

    def __init__(self, environment: LoadEnvironment) -> None:
        super().__init__(environment)
        self._typing = False

    def act(self) -> None:
        self._typing = not self._typing
        self.device.type(self.person.rooms[0], self._typing)


class Owner(Member):
    """In fifty rooms, each message of which makes him fetch his list of them."""

    wait_time = between(2, 5)

    def act(self) -> None:
        self.device.send(random.choice(self.person.rooms))


class Traveller(Member):
    """His connection is cut with everybody else's, again and again, and comes back."""

    wait_time = between(4, 8)


class Caller(Member):
    """The first of a pair rings the other, who answers by himself."""

    wait_time = between(1, 3)

    def act(self) -> None:
        if self.number % 2 == 0:
            self.device.ring(self.person.rooms[0], talk_s=TALK_S)
