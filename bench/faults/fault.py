"""What a fault is, and the words in which it fails."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from bench.faults.stage import Stage


class Need(Enum):
    """What a fault cannot do without; the value is said where it is missing."""

    OWN_SERVER = "the database server is not ours to stop"
    SMALL_DISKS = "no small file system can be mounted (it takes root)"
    SHARE = "ingest has no setting METERWARDEN_MQTT_SHARE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to break the system, and what has to hold all the same."""

    name: str
    #: Rows of the fault matrix that it stands for.
    rows: tuple[int, ...]
    does: str
    promises: str
    run: Callable[[Stage, random.Random], None]
    #: Whether ingest may end by itself, or is made to.
    ends_ingest: bool = False
    needs: frozenset[Need] = field(default_factory=frozenset)
