"""What is known of a Sparkplug edge node between its messages, as values that are replaced, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ingest.formats.sparkplug_payload import Payload
from ingest.formats.sparkplug_readings import ENTRY_BYTES, Births

#: Sequence numbers run from 0 to 255, over all messages of an edge node together.
_NUMBERS = 256
#: Where the metrics of the edge node itself are kept, among its devices; no device is called so.
NODE = ""
#: More of one edge node are not remembered: anybody may invent devices.
MOST_DEVICES = 5_000
MOST_EDGE_BYTES = 32_000_000
#: What an edge node takes without its devices, about.
_EDGE_BYTES = 800


@dataclass(frozen=True, slots=True)
class Device:
    """A device of an edge node, or the node itself."""

    #: None where the device was there before the edge node's last birth, and has had none since.
    births: Births | None
    online: bool

    @property
    def size_bytes(self) -> int:
        """Memory that it takes, about."""
        return ENTRY_BYTES + (0 if self.births is None else self.births.size_bytes)


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge node of which a birth is known."""

    #: The session's number, which its death carries too; None where the birth did not say.
    bd_seq: int | None
    #: Between birth and death.
    alive: bool
    #: No message was missed since the birth, so aliases mean what the births say.
    in_step: bool
    next_seq: int
    devices: Mapping[str, Device]
    #: Tells apart what it sends where it begins anew with the very bytes of an earlier birth.
    life: int
    #: Memory that it takes, about.
    size_bytes: int


def follow(edge: Edge, seq: int) -> Edge:
    """Count a message that is not the edge node's birth, and was not seen before."""
    # Where one in between is missing, it may have been a birth.
    in_step = edge.in_step and seq == edge.next_seq
    return replace(edge, next_seq=(seq + 1) % _NUMBERS, in_step=in_step)


def born(before: Edge | None, life: int, payload: Payload, node: Device) -> Edge:
    """Begin anew with an edge node's birth.

    Where it was asked for (the same `bdSeq`), devices stay online until their own births come.
    """
    bd_seq = payload.birth_death_number()
    devices: dict[str, Device] = {}
    if before is not None and before.alive and before.bd_seq == bd_seq:
        devices = {name: replace(device, births=None) for name, device in before.devices.items()}
        del devices[NODE]
    if node.size_bytes > MOST_EDGE_BYTES // 2:
        node = replace(node, births=None)
    return Edge(
        bd_seq=bd_seq,
        alive=True,
        in_step=True,
        # A birth has to have 0; some have not, and count on from there.
        next_seq=(payload.seq + 1) % _NUMBERS,
        devices={**devices, NODE: node},
        life=life,
        size_bytes=_EDGE_BYTES + sum(map(_size_bytes, devices, devices.values())) + _size_bytes(NODE, node),
    )


def with_device(edge: Edge, name: str, device: Device) -> Edge:
    """Give the edge node with one device as it is now; too many drop those least recently born."""
    devices, size_bytes = dict(edge.devices), edge.size_bytes + _size_bytes(name, device)
    if name in devices:
        size_bytes -= _size_bytes(name, devices.pop(name))
    devices[name] = device
    while len(devices) > MOST_DEVICES or size_bytes > MOST_EDGE_BYTES:
        oldest = next(name for name in devices if name != NODE)
        size_bytes -= _size_bytes(oldest, devices.pop(oldest))
    return replace(edge, devices=devices, size_bytes=size_bytes)


def _size_bytes(name: str, device: Device) -> int:
    return len(name) + device.size_bytes


def online_devices(edge: Edge) -> list[str]:
    """Name the devices, without the node itself, that are online."""
    return [name for name, device in edge.devices.items() if device.online and name != NODE]


def trusted(edge: Edge | None, name: str) -> Births | str:
    """Give the birth that explains the aliases of a device's message, else why there is none."""
    if edge is None or not edge.alive:
        return "the edge node's birth is missing, a rebirth brings it"
    if not edge.in_step:
        return "a message before it is missing, a rebirth brings what it names"
    device = edge.devices.get(name)
    if device is None or device.births is None or not device.online:
        return "the device's birth is missing, a rebirth brings it"
    return device.births
