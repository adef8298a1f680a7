"""Runs a scenario with locust inside this process.

Importing this module patches the standard library for gevent, as locust does it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import gevent

from loadtest import users
from loadtest.crowd import Crowd
from loadtest.platform import LoadError, Person, Platform
from loadtest.record import Record
from loadtest.scenarios import Scenario

ARRIVALS_PER_S = 50.0
"""How fast users are brought in, where the scenario is not about that."""

PATIENCE_S = 60.0
BACK_S = 15.0
"""How long those who were cut last may take to come back, at the end."""

_ANSWERED = re.compile(r"code=(\d{3})$")


def run(
    *,
    scenario: Scenario,
    platform: Platform,
    people: list[Person],
    seconds: float,
    record: Record,
    show: Callable[[str], None],
) -> None:
    """Bring all users in, let them be for ``seconds``, and send them home.

    Args:
        show: told the progress, each second.

    Raises:
        LoadError: not all of them came.
    """
    logging.getLogger("locust").setLevel(logging.ERROR)
    user_class = getattr(users, scenario.user)
    environment = users.LoadEnvironment(user_classes=[user_class], host=platform.url)
    environment.crowd = crowd = Crowd(people)
    environment.platform = platform

    def measured(name: str, response_time: float, exception: BaseException | None, **_: Any) -> None:
        if exception is None:
            record.took(name, response_time / 1e3)
        else:
            record.failed(name, _reason(exception))

    environment.events.request.add_listener(measured)
    environment.events.user_error.add_listener(
        lambda user_instance, exception, tb: record.failed("user", _reason(exception))
    )
    runner = environment.create_local_runner()

    def show_progress() -> None:
        while True:
            gevent.sleep(1)
            show(record.progress())

    shown = gevent.spawn(show_progress)
    try:
        runner.start(len(people), spawn_rate=ARRIVALS_PER_S)
        if not crowd.all_there.wait(len(people) / ARRIVALS_PER_S + PATIENCE_S):
            raise LoadError(f"not all users came; what happened: {record.summary()}")
        _let_be(crowd, scenario, seconds)
        for _ in crowd.away:
            record.failed("come back", f"not within {BACK_S:g} s")
    finally:
        runner.quit()
        shown.kill()


def _reason(exception: BaseException) -> str:
    """Without what differs from one time to the next."""
    answered = _ANSWERED.search(str(exception))
    return f"answered {answered[1]}" if answered else f"{type(exception).__name__}: {exception}"


def _let_be(crowd: Crowd, scenario: Scenario, seconds: float) -> None:
    if not scenario.cut_every_s:
        gevent.sleep(seconds)
        return
    every_s = min(scenario.cut_every_s, seconds)
    for _ in range(int(seconds / every_s)):
        gevent.sleep(every_s / 2)
        crowd.cut_all()
        gevent.sleep(every_s / 2)
    with gevent.Timeout(BACK_S, exception=False):
        while crowd.away:
            gevent.sleep(0.1)
