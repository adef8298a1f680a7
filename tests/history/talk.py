"""One schedule, from its start to its history.

Ann, Bob and Cid are in a room of their team and write there; Ann and Bob have a room of their own, too. Wes is taken into
the team and removed, again and again. Dan is in none of these rooms and listens. All of them are on whatever node their
connections happen to come to.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from uuid import uuid4

import trio

from tests.history.cluster import Cluster
from tests.history.device import Device, Diary
from tests.history.line import Line
from tests.history.node_device import NodeDevice
from tests.history.people import Asker
from tests.history.records import Change, History, Send, Visit
from tests.history.schedule import LINES, TALK_S, Fault, Plan
from tests.support.devices import POLLING, UPGRADE, WEBSOCKET

WRITERS = 2
"""Of each person who writes: so many of his messages may be under way at once."""

PACE_S = (0.01, 0.08)
"""Between an answer and the next message of the same writer."""

STAY_S = (0.2, 0.7)
"""How long somebody who comes and goes stays, or stays away."""

TWICE, AGAIN = 0.1, 0.1
"""Share of messages that are sent twice at once, and of those that are sent once more after they were acknowledged."""

EDITED, READ = 0.1, 0.1
"""Share of messages that their sender edits, and of those that he marks as read."""

HEALED_S = 15.0
"""How long everything is given to arrive when nothing fails any more. It takes no longer than reconnecting and one look
into the log (``following.CHECK_S``); who has not got everything by then has lost it."""

LOOK_S = 0.02

END_S = 120.0
"""A schedule that is not over by then is stuck."""

DEVICES = {"ann": ["trio"], "bob": ["trio", "trio"], "cid": ["node"], "wes": ["trio"], "dan": ["trio"]}


class Talk:
    """What one schedule has while it runs."""

    def __init__(self, cluster: Cluster, plan: Plan, *, node: bool, healed_s: float) -> None:
        self.cluster = cluster
        self.plan = plan
        self.history = History()
        self._chance = random.Random(plan.seed)
        self._node = node
        self._healed_s = healed_s
        self._name = f"{plan.seed}-{uuid4().hex[:8]}"
        self._lines: dict[str, Line] = {}
        self._askers: dict[str, Asker] = {}
        self._diaries: list[Diary] = []
        self._rooms: dict[str, list[str]] = {}  # of each person: those to fetch
        self._count = 0
        self._suffering = True

    async def run(self) -> History:
        """
        Raises:
            trio.TooSlowError: it is stuck.
        """
        with trio.fail_after(END_S):
            async with trio.open_nursery() as nursery:
                try:
                    await self._gather(nursery)
                    team, pair, den = await self._make_rooms()
                    await self._listen(nursery)
                    async with trio.open_nursery() as talk:
                        for person, rooms in {
                            "ann": [team, pair],
                            "bob": [team, pair],
                            "cid": [team],
                        }.items():
                            for _ in range(WRITERS):
                                talk.start_soon(self._write, person, rooms)
                        talk.start_soon(self._come_and_go, team)
                        await self._suffer()
                        self._suffering = False
                    await self._end({"ann": [team, pair], "bob": [team, pair], "cid": [team], "dan": [den]})
                finally:
                    with trio.CancelScope(shield=True):  # closes sockets, waits for nobody
                        for asker in self._askers.values():
                            await asker.aclose()
                nursery.cancel_scope.cancel()
        return self.history

    # before

    async def _gather(self, nursery: trio.Nursery) -> None:
        ports = self.cluster.ports
        for person in ("platform", *DEVICES):
            line = Line(choose_port=partial(self._chance.choice, ports), chance=self._chance)
            await nursery.start(line.run)
            self._lines[person] = line
        self._ask_as("platform", {"x-api-key": self.cluster.api_key})
        for person in DEVICES:
            await self._askers["platform"].ask("POST", "/users", {"id": self._id(person), "username": person})
            token = await self._token(person)
            self._ask_as(person, {"Authorization": f"Bearer {token}"})

    def _id(self, person: str) -> str:
        return f"{person}-{self._name}"

    async def _token(self, person: str) -> str:
        _, answer = await self._askers["platform"].ask("POST", "/auth/token", {"userId": self._id(person)})
        token: str = answer["token"]
        return token

    def _ask_as(self, person: str, headers: dict[str, str]) -> None:
        self._askers[person] = Asker(
            self._lines[person].url, headers, history=self.history, chance=self._chance
        )

    async def _make_rooms(self) -> list[str]:
        rooms = []
        for people in (["ann", "bob", "cid", "wes"], ["ann", "bob"], ["dan"]):
            members = [{"id": self._id(person)} for person in people]
            _, room = await self._askers["platform"].ask("POST", "/chat/rooms", {"participants": members})
            self.history.members[room["id"]] = {self._id(person) for person in people}
            rooms.append(room["id"])
            for person in people:
                self._rooms.setdefault(person, []).append(room["id"])
        return rooms

    async def _listen(self, nursery: trio.Nursery) -> None:
        for person, kinds in DEVICES.items():
            token = await self._token(person)
            for number, kind in enumerate(kinds):
                diary = Diary(
                    device=f"{kind} {number}",
                    user=self._id(person),
                    fetch=partial(self._askers[person].fetch, rooms=self._rooms[person]),
                    strange=self.history.strange.append,
                )
                self._diaries.append(diary)
                line = self._lines[person]
                if kind == "node" and self._node:
                    nursery.start_soon(self._node_device(line, token, diary).run, nursery)
                else:
                    device = Device(line=line, token=token, diary=diary, chance=self._chance)
                    nursery.start_soon(device.run, nursery)
        await _until(lambda: all(diary.connected for diary in self._diaries))

    def _node_device(self, line: Line, token: str, diary: Diary) -> NodeDevice:
        transports = self._chance.choice([WEBSOCKET, POLLING, UPGRADE])
        return NodeDevice(line=line, token=token, diary=diary, transports=transports)

    # meanwhile

    async def _write(self, person: str, rooms: list[str]) -> None:
        while self._suffering:
            send = await self._send(person, self._chance.choice(rooms))
            if send.ids and self._chance.random() < EDITED:
                await self._askers[person].edit(send.room, send.ids[0])
            if send.ids and self._chance.random() < READ:
                await self._askers[person].read(send.room, send.ids[0])
            await trio.sleep(self._chance.uniform(*PACE_S))

    async def _send(self, person: str, room: str) -> Send:
        self._count += 1
        send = Send(room, f"{person} {self._count}", trio.current_time())
        self.history.sends.append(send)
        asker = self._askers[person]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asker.send, send)
            if self._chance.random() < TWICE:
                nursery.start_soon(asker.send, send)
        if self._chance.random() < AGAIN:
            await asker.send(send)
        return send

    async def _come_and_go(self, room: str) -> None:
        joined = True
        while self._suffering:
            await trio.sleep(self._chance.uniform(*STAY_S))
            joined = not joined
            change = Change(room, self._id("wes"), joined, trio.current_time())
            self.history.changes.append(change)
            await self._askers["platform"].change(change)

    async def _suffer(self) -> None:
        """Let everything fail that is to fail, each target's faults one after the other, and see all of it mended."""
        until = trio.current_time() + TALK_S
        queues: dict[tuple[str, float], list[Fault]] = {}
        for fault in self.plan.faults:
            whom = fault.whom if fault.target == "node" else 0
            queues.setdefault((fault.target, whom), []).append(fault)
        begins = trio.current_time()
        async with trio.open_nursery() as nursery:
            for faults in queues.values():
                nursery.start_soon(self._suffer_in_turn, faults, begins)
        await trio.sleep_until(until)

    async def _suffer_in_turn(self, faults: list[Fault], begins: float) -> None:
        for fault in faults:
            await trio.sleep_until(begins + fault.at_s)
            if fault.target == LINES:
                await self._hurt_lines(fault)
                continue
            cure = await self.cluster.inflict(fault)
            try:
                await trio.sleep(fault.lasts_s)
            finally:
                with trio.CancelScope(
                    shield=True
                ):  # what was started is waited for, and frozen is nobody left
                    await cure()

    async def _hurt_lines(self, fault: Fault) -> None:
        lines = [line for line in self._lines.values() if self._chance.random() < fault.whom]
        for line in lines:
            match fault.what:
                case "cut":
                    line.cut()
                case "delay":
                    line.delay_s = 0.2
                case "stall":
                    line.stall()
        await trio.sleep(fault.lasts_s)
        for line in lines:
            line.delay_s = 0.0
            line.flow()
            if fault.what == "cut":
                line.cut()

    # afterwards

    async def _end(self, rooms: dict[str, list[str]]) -> None:
        """Say a last word in each room, wait until everybody has it who is there, and see what is stored."""
        last: dict[str, str] = {}
        for person, said_in in rooms.items():
            for room in said_in:
                last[room] = (await self._send(person, room)).ids[-1]
        said = trio.current_time()
        with trio.move_on_after(self._healed_s):
            await _until(lambda: all(self._is_through(diary, last) for diary in self._diaries))
            self.history.healed_s = trio.current_time() - said
            await trio.sleep(0.05)  # for what would come once too often
        for diary in self._diaries:
            if diary.visit is not None:
                diary.visit.lasted = True
            self.history.visits += diary.visits
        for person, said_in in rooms.items():
            for room in said_in:
                self.history.stored[room] = await self._askers[person].messages(room) or []
        self.history.strange += self.cluster.strange()

    def _is_through(self, diary: Diary, last: dict[str, str]) -> bool:
        visit = diary.visit
        return (
            diary.connected
            and visit is not None
            and all(
                visit.holds(room, message_id) for room, message_id in last.items() if self._is_in(room, visit)
            )
        )

    def _is_in(self, room: str, visit: Visit) -> bool:
        changes = [
            change for change in self.history.changes if (change.room, change.user) == (room, visit.user)
        ]
        return changes[-1].joined if changes else visit.user in self.history.members[room]


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await trio.sleep(LOOK_S)  # many things may have changed, and none of them says so


async def talk(cluster: Cluster, plan: Plan, *, node: bool = True, healed_s: float = HEALED_S) -> History:
    """Run one schedule.

    Args:
        node: with the published client on Node among the devices.
        healed_s: how long everything may take to arrive when nothing fails any more.
    """
    return await Talk(cluster, plan, node=node, healed_s=healed_s).run()
