"""Leaving the broker in bounded time; paho itself waits for its thread without limit."""

from __future__ import annotations

import threading
from contextlib import suppress

import paho.mqtt.client as mqtt

_LEAVE_S = 10.0


def leave(client: mqtt.Client) -> None:
    """Disconnect and end paho's thread; one that hangs must not keep the process from ending."""
    client.disconnect()
    leaving = threading.Thread(target=_end_loop, args=(client,), name="mqtt-leave", daemon=True)
    leaving.start()
    leaving.join(_LEAVE_S)


def _end_loop(client: mqtt.Client) -> None:
    # Disconnected, paho's thread ends by itself, perhaps between two looks that paho takes at it.
    with suppress(AttributeError):
        client.loop_stop()
