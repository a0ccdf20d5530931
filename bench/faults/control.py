"""Words from the harness to ingest's wrapper: small files in one directory, each replaced as a whole."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Failpoint:
    """Where ingest stops once, for how long at most, and what it does then."""

    #: One of `ingest.service.STEPS`.
    step: str
    #: Ends earlier when the harness says so.
    pause_s: float = 0.0
    then: Literal["go", "kill", "raise"] = "go"


class Control:
    """Both ends of the wire: the harness arms and releases, the wrapper claims and asks."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self._armed, self._hit = directory / "armed.json", directory / "hit.json"
        self._released, self._clock = directory / "released", directory / "clock"
        self._thread = directory / "thread"

    def arm(self, failpoint: Failpoint) -> None:
        """Have ingest stop at the next such step; a pause that lasts already goes on."""
        self._hit.unlink(missing_ok=True)
        _replace(self._armed, json.dumps(asdict(failpoint)))

    @property
    def was_hit(self) -> bool:
        """Whether ingest came to the step since it was armed."""
        return self._hit.exists()

    def release(self) -> None:
        """End the pause that lasts; one that begins later is not touched."""
        _replace(self._released, "")

    def heal(self) -> None:
        """Take back everything."""
        self._armed.unlink(missing_ok=True)
        self.release()
        self.set_clock(0.0)
        self._thread.unlink(missing_ok=True)

    def set_clock(self, offset_s: float) -> None:
        """Let ingest's clock be ahead by so much."""
        _replace(self._clock, str(offset_s))

    def end_network_thread(self) -> None:
        """Have something raise on the thread that speaks MQTT."""
        _replace(self._thread, "")

    def claim(self, step: str) -> Failpoint | None:
        """Take the failpoint that is armed for a step; nobody else gets it then."""
        with suppress(OSError, ValueError):
            failpoint = Failpoint(**json.loads(self._armed.read_text("utf-8")))
            if failpoint.step == step:
                self._released.unlink(missing_ok=True)
                self._armed.rename(self._hit)
                return failpoint
        return None

    @property
    def is_released(self) -> bool:
        """Whether the pause that lasts is to end now."""
        return self._released.exists()

    def clock_offset_s(self) -> float:
        """How much ingest's clock is ahead."""
        with suppress(OSError, ValueError):
            return float(self._clock.read_text("utf-8"))
        return 0.0

    def takes_network_thread(self) -> bool:
        """Tell, once, that the network thread is to end."""
        with suppress(OSError):
            self._thread.unlink()
            return True
        return False


def _replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.rename(path)
