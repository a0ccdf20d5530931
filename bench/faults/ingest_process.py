"""The real `meterwarden ingest`, with a few levers for the harness; all that it knows of ingest's insides."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

import ingest.session
import runtime.commands.ingest
from bench.faults.control import Control
from bench.faults.mutations import MUTATIONS
from ingest.service import IngestService
from ingest.session import MqttSession
from runtime import cli

#: Short, so that a broker's or a network's silence is noticed within the time of one fault.
KEEPALIVE_S = 4
CONTROL, MUTATION = "FAULTS_CONTROL", "FAULTS_MUTATION"
_LOOK_S = 0.02


class Breaker:
    """Stops ingest at the step for which a failpoint is armed."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def __call__(self, step: str) -> None:
        """Pause, and then go on, raise or die."""
        failpoint = self._control.claim(step)
        if failpoint is None:
            return
        until_s = time.monotonic() + failpoint.pause_s
        while time.monotonic() < until_s and not self._control.is_released:
            time.sleep(_LOOK_S)
        if failpoint.then == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if failpoint.then == "raise":
            msg = f"the harness raises this at {step!r}"
            raise ZeroDivisionError(msg)


def main() -> None:
    """Run as `meterwarden ingest` does, under the control of the directory FAULTS_CONTROL."""
    control = Control(Path(os.environ[CONTROL]))
    command = vars(runtime.commands.ingest)
    command["IngestService"] = partial(IngestService, failpoint=Breaker(control))
    command["MqttSession"] = MUTATIONS.get(os.environ.get(MUTATION, ""), MqttSession)
    insides = vars(ingest.session)
    if "_KEEPALIVE_S" not in insides:
        sys.exit("ingest.session has no _KEEPALIVE_S any more: the harness has to learn its new name")
    insides["_KEEPALIVE_S"] = KEEPALIVE_S
    _shift_clock(control)
    _let_network_thread_end(control)
    sys.argv = ["meterwarden", "ingest"]
    cli.main()


def _shift_clock(control: Control) -> None:
    """Let `time.time_ns`, from which ingest reads the time of day, follow the control directory."""
    real, offset_ns = time.time_ns, [0]

    def follow() -> None:
        while True:
            offset_ns[0] = int(control.clock_offset_s() * 1e9)
            time.sleep(_LOOK_S)

    vars(time)["time_ns"] = lambda: real() + offset_ns[0]
    threading.Thread(target=follow, daemon=True).start()


def _let_network_thread_end(control: Control) -> None:
    """Raise from inside paho's loop when asked to; `loop_misc` is called there once a turn."""
    real = mqtt.Client.loop_misc

    def loop_misc(self: mqtt.Client) -> MQTTErrorCode:
        if control.takes_network_thread():
            msg = "the harness raises this on the network thread"
            raise ZeroDivisionError(msg)
        return real(self)

    mqtt.Client.loop_misc = loop_misc  # type: ignore[method-assign] # from outside there is no other way in


if __name__ == "__main__":
    main()
