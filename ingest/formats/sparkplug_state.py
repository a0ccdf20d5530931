"""What is known of a Sparkplug edge node between its messages, as values that are replaced, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from ingest.formats.sparkplug_readings import Births

#: Sequence numbers run from 0 to 255, over all messages of an edge node together.
_NUMBERS = 256
#: Where the metrics of the edge node itself are kept, among its devices; no device is called so.
NODE = ""


class Arrival(Enum):
    """How a message stands to those of its edge node before it."""

    NEXT = "the one expected"
    #: A broker that had no acknowledgement delivers it a second time.
    AGAIN = "one that was seen"
    #: At least one message in between is missing, which may have been a birth.
    GAP = "not the one expected"


@dataclass(frozen=True, slots=True)
class Device:
    """A device of an edge node, or the node itself."""

    #: None where the device was there before the edge node's last birth, and has had none since.
    births: Births | None
    #: Tells its birth certificates apart.
    birth: int
    online: bool


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
    #: Sequence number -> hash of the last message that had it.
    seen: Mapping[int, int]


def fingerprint(topic: str, payload: bytes, device: Device | None) -> int:
    """Hash a message together with the birth that explains its aliases; differs from process to process."""
    return hash((topic, payload, None if device is None else device.birth))


def follow(edge: Edge, seq: int, print_: int) -> tuple[Edge, Arrival]:
    """Count a message that is not the edge node's birth."""
    if edge.seen.get(seq) == print_:
        return edge, Arrival.AGAIN
    expected = seq == edge.next_seq
    seen = {**edge.seen, seq % _NUMBERS: print_}
    followed = replace(edge, next_seq=(seq + 1) % _NUMBERS, in_step=edge.in_step and expected, seen=seen)
    return followed, Arrival.NEXT if expected else Arrival.GAP


def seen_alive(edge: Edge, seq: int, print_: int) -> bool:
    """Tell whether a birth is the one that the edge node lives by, delivered again.

    One that is out of step or dead takes any birth: some edge nodes send the same bytes each time.
    """
    return edge.alive and edge.in_step and edge.seen.get(seq) == print_


def born(before: Edge | None, bd_seq: int | None, seq: int, node: Device, print_: int) -> Edge:
    """Begin anew with an edge node's birth.

    Where it was asked for (the same `bd_seq`), devices stay online until their own births come.
    """
    devices: dict[str, Device] = {}
    if before is not None and before.alive and before.bd_seq == bd_seq:
        devices = {name: replace(device, births=None) for name, device in before.devices.items()}
    return Edge(
        bd_seq=bd_seq,
        alive=True,
        in_step=True,
        # A birth has to have 0; some have not, and count on from there.
        next_seq=(seq + 1) % _NUMBERS,
        devices={**devices, NODE: node},
        seen={seq % _NUMBERS: print_},
    )


def with_device(edge: Edge, name: str, device: Device) -> Edge:
    """Give the edge node with one device as it is now."""
    return replace(edge, devices={**edge.devices, name: device})


def online_devices(edge: Edge) -> list[str]:
    """Name the devices, without the node itself, that are online."""
    return [name for name, device in edge.devices.items() if device.online and name != NODE]


def trusted(edge: Edge | None, name: str, arrival: Arrival) -> tuple[Births | None, str]:
    """Give the birth that explains a message's aliases, else None and why there is none.

    A message seen before was explained then; its fingerprint says that the birth is still the same.
    """
    device = None if edge is None else edge.devices.get(name)
    if edge is not None and device is not None and arrival is Arrival.AGAIN:
        return device.births, "it is in no birth"
    if edge is None or not edge.alive:
        return None, "the edge node's birth is missing, a rebirth brings it"
    if not edge.in_step:
        return None, "a message before it is missing, a rebirth brings what it names"
    if device is None or device.births is None or not device.online:
        return None, "the device's birth is missing, a rebirth brings it"
    return device.births, "it is in no birth"
