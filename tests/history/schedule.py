"""From a seed to a plan: what fails, when, and for how long. The same seed is always the same plan."""

from __future__ import annotations

import random
from dataclasses import dataclass

NODES = 3
TALK_S = 1.5
"""How long people talk at least; they go on until everything has been mended."""

DATABASE, LINES, REDIS = "database", "lines", "redis"

# What can happen to each target, and how long it may last.
FAULTS: dict[str, dict[str, tuple[float, float]]] = {
    "node": {"kill": (0.0, 0.5), "stop": (0.0, 0.2), "freeze": (0.2, 2.5)},
    REDIS: {
        "restart": (0.0, 1.0),
        "freeze": (0.1, 2.0),
        "pause": (0.1, 1.5),
        "flush": (0.0, 0.0),
        "cut": (0.0, 0.0),
    },
    DATABASE: {"restart": (0.0, 0.5), "freeze": (0.1, 1.5), "cut": (0.0, 0.0)},
    LINES: {"cut": (0.0, 0.4), "delay": (0.2, 1.5), "stall": (0.2, 2.5)},
}

TARGETS = {"node": 3, REDIS: 4, DATABASE: 2, LINES: 5}
"""And how often it is each one's turn."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        at_s: when, from the start of the talk; later if the target still suffers from the fault before.
        lasts_s: until it is mended.
        whom: which node, or which share of all lines, from 0 to 1.
    """

    at_s: float
    target: str
    what: str
    lasts_s: float
    whom: float

    def __str__(self) -> str:
        return f"{self.at_s:.2f} s: {self.what} {self.target} ({self.whom:.2f}) for {self.lasts_s:.2f} s"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that fails in one schedule, by when it does."""

    seed: int
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}", *(f"  {fault}" for fault in self.faults)])


def plan(seed: int) -> Plan:
    choose = random.Random(seed)
    faults = []
    for _ in range(choose.randint(2, 6)):
        target = choose.choices(list(TARGETS), list(TARGETS.values()))[0]
        what, (shortest, longest) = choose.choice(list(FAULTS[target].items()))
        faults.append(
            Fault(
                at_s=choose.uniform(0.1, TALK_S),
                target=target,
                what=what,
                lasts_s=choose.uniform(shortest, longest),
                whom=float(choose.randrange(NODES)) if target == "node" else choose.random(),
            )
        )
    return Plan(seed, tuple(sorted(faults, key=lambda fault: fault.at_s)))
