"""The embedded MQTT broker: rumqttd in a child process where no broker URL is given.

It keeps nothing on disk, so it is for trying and for tests; production takes Mosquitto or EMQX.
"""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType
from typing import Self

import iotcore

from runtime.exceptions import EmbeddedPartError

#: rumqttd speaks one version of MQTT per port.
_LISTENER = """
[{version}.1]
name = "{version}"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[{version}.1.connections]
connection_timeout_ms = 60000
max_payload_size = 4194304
max_inflight_count = 1000
dynamic_filters = true
"""

_ROUTER = """
id = 0
[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
"""


class EmbeddedBroker:
    """A broker on two free ports of 127.0.0.1, one for MQTT 5 and one for 3.1.1."""

    def __init__(self, directory: Path, *, port_v5: int = 0, port_v3: int = 0) -> None:
        self.port_v5 = port_v5 or free_port()
        self.port_v3 = port_v3 or free_port()
        self._config = directory / "broker.toml"
        self._broker: iotcore.Broker | None = None

    @property
    def url(self) -> str:
        """URL of the MQTT 5 listener."""
        return f"mqtt://127.0.0.1:{self.port_v5}"

    @property
    def url_v3(self) -> str:
        """URL of the MQTT 3.1.1 listener."""
        return f"mqtt://127.0.0.1:{self.port_v3}"

    def start(self) -> str:
        """Start the broker; gives the URL of its MQTT 5 listener. Raises EmbeddedPartError."""
        self._config.parent.mkdir(parents=True, exist_ok=True)
        listeners = [("v4", self.port_v3), ("v5", self.port_v5)]
        parts = [_LISTENER.format(version=version, port=port) for version, port in listeners]
        self._config.write_text(_ROUTER + "".join(parts), encoding="utf-8")
        self._broker = iotcore.Broker(config_path=str(self._config))
        try:
            self._broker.start()
        except (OSError, RuntimeError) as error:
            msg = f"the embedded broker did not start: {error}"
            raise EmbeddedPartError(msg) from error
        return self.url

    def stop(self) -> None:
        """Stop the broker; what it held is gone."""
        if self._broker is not None:
            self._broker.stop()
            self._broker = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port() -> int:
    """Find a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
