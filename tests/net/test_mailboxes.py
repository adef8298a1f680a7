"""The worker pool: each client's work in order, no client waiting for another, and the bounds."""

from __future__ import annotations

import trio

from gateway.net.mailboxes import Mailbox, Workers
from tests.net.fakes import settle


class Client:
    """The owner of a mailbox; puts work that takes as long as it is told."""

    def __init__(self, workers: Workers, *, limit: int = 100) -> None:
        self._workers = workers
        self._limit = limit
        self.mailbox: Mailbox | None = None
        self.paused = False
        self.calls: list[str] = []
        self.done: list[object] = []

    def pause(self) -> None:
        self.paused = True
        self.calls.append("pause")

    def resume(self) -> None:
        self.paused = False
        self.calls.append("resume")

    def broken(self) -> None:
        self.calls.append("broken")
        assert self.mailbox is not None
        self.mailbox.clear()

    def drained(self) -> None:
        self.mailbox = None

    def want(self, name: object, seconds: float = 0) -> None:
        async def work() -> None:
            await trio.sleep(seconds)
            self.done.append(name)

        self.put(work)

    def want_now(self, name: object) -> None:
        """Work that is done without waiting."""
        self.put(lambda: self.done.append(name))

    def put(self, job: object) -> None:
        if self.mailbox is not None:
            self.mailbox.put(job)  # type: ignore[arg-type]
            return
        self.mailbox = Mailbox(limit=self._limit, owner=self)
        self.mailbox.put(job)  # type: ignore[arg-type]
        self._workers.submit(self.mailbox)


class TestOrder:
    async def test_a_clients_work_is_done_in_its_order_however_long_each_takes(
        self, workers: Workers
    ) -> None:
        client = Client(workers)
        for number in range(20):
            if number % 3:
                client.want(number, seconds=(7 * number) % 5)
            else:
                client.want_now(number)
        await trio.sleep(100)
        assert client.done == list(range(20))

    async def test_what_arrives_meanwhile_is_done_too(self, workers: Workers) -> None:
        client = Client(workers)
        for number in range(5):
            client.want(number, seconds=3)
            await trio.sleep(1)
        await trio.sleep(100)
        assert client.done == list(range(5))

    async def test_one_client_that_waits_long_holds_no_other_up(self, workers: Workers) -> None:
        slow, quick = Client(workers), Client(workers)
        slow.want("slow", seconds=1_000)
        quick.want("quick")
        await settle()
        assert (slow.done, quick.done) == ([], ["quick"])

    async def test_the_mailbox_is_given_back_when_everything_is_done(self, workers: Workers) -> None:
        client = Client(workers)
        client.want("one", seconds=1)
        await trio.sleep(2)
        assert client.mailbox is None
        client.want("two", seconds=1)
        await trio.sleep(2)
        assert client.done == ["one", "two"]


class TestBound:
    async def test_a_client_with_too_much_in_flight_is_paused_until_half_is_done(
        self, workers: Workers
    ) -> None:
        client = Client(workers, limit=8)
        for number in range(7):
            client.want(number, seconds=1)
        assert not client.paused
        client.want(7, seconds=1)
        assert client.paused
        await trio.sleep(3.5)
        assert (len(client.done), client.paused) == (3, True)
        await trio.sleep(1)
        assert (len(client.done), client.paused) == (4, False)
        assert client.calls == ["pause", "resume"]

    async def test_what_was_read_before_the_pause_took_hold_is_kept(self, workers: Workers) -> None:
        client = Client(workers, limit=4)
        for number in range(50):
            client.want(number, seconds=1)
        await trio.sleep(100)
        assert client.done == list(range(50))
        assert client.calls == ["pause", "resume"]

    async def test_the_smallest_bound_is_one_at_a_time(self, workers: Workers) -> None:
        client = Client(workers, limit=1)
        client.want("one", seconds=1)
        assert client.paused
        await trio.sleep(2)
        assert not client.paused


class TestFaults:
    async def test_a_job_that_raises_costs_its_own_client_the_rest_and_no_other(
        self, workers: Workers
    ) -> None:
        async def broken() -> None:
            await trio.sleep(1)
            raise RuntimeError("job")

        bad, good = Client(workers), Client(workers)
        bad.put(broken)
        bad.want("never")
        good.want("done", seconds=2)
        await trio.sleep(3)
        assert (bad.done, good.done) == ([], ["done"])
        assert bad.calls == ["broken"]
        good.want("again")
        await settle()
        assert good.done == ["done", "again"]

    async def test_one_that_raises_at_once_is_no_different(self, workers: Workers) -> None:
        def broken() -> None:
            raise RuntimeError("job")

        client = Client(workers)
        client.want("first", seconds=1)
        client.put(broken)
        client.want("never")
        await trio.sleep(3)
        assert (client.done, client.calls) == (["first"], ["broken"])

    async def test_what_a_client_that_is_gone_still_wanted_is_not_done(self, workers: Workers) -> None:
        client = Client(workers)
        client.want("running", seconds=1)
        client.want("waiting", seconds=1)
        await settle()
        assert client.mailbox is not None
        client.mailbox.clear()
        await trio.sleep(5)
        assert client.done == ["running"]

    async def test_a_client_may_go_while_its_first_job_waits_for_a_worker(
        self, nursery: trio.Nursery
    ) -> None:
        workers = Workers(most=1)
        await nursery.start(workers.run)
        first, second = Client(workers), Client(workers)
        first.want("first", seconds=1)
        second.want("second")
        assert second.mailbox is not None
        second.mailbox.clear()
        await trio.sleep(2)
        third = Client(workers)
        third.want("third")
        await settle()
        assert (first.done, second.done, third.done) == (["first"], [], ["third"])


class TestPool:
    async def test_there_are_never_more_workers_than_allowed(self, nursery: trio.Nursery) -> None:
        workers = Workers(most=3)
        await nursery.start(workers.run)
        clients = [Client(workers) for _ in range(10)]
        for client in clients:
            client.want("done", seconds=1)
        await settle()
        assert workers.statistics() == {"workers": 3, "waiting": 7}
        await trio.sleep(3.5)
        assert [len(client.done) for client in clients].count(1) == 9
        await trio.sleep(1)
        assert all(client.done for client in clients)

    async def test_after_a_burst_only_a_few_workers_stay(self, nursery: trio.Nursery) -> None:
        workers = Workers(most=50, idle=2)
        await nursery.start(workers.run)
        clients = [Client(workers) for _ in range(50)]
        for client in clients:
            client.want("done", seconds=1)
        await trio.sleep(2)
        assert workers.statistics()["workers"] == 2
        for client in clients:
            client.want("again", seconds=1)
        await trio.sleep(2)
        assert all(client.done == ["done", "again"] for client in clients)

    async def test_cancelling_ends_the_work_in_progress(self) -> None:
        workers = Workers()
        client = Client(workers)
        async with trio.open_nursery() as nursery:
            await nursery.start(workers.run)
            client.want("never", seconds=100)
            client.want("nor this")
            await settle()
            nursery.cancel_scope.cancel()
        assert client.done == []
        assert workers.statistics()["workers"] == 0
