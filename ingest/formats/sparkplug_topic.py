"""Topics of Sparkplug B: `spBv1.0/<group>/<type>/<edge>[/<device>]`."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAMESPACE = "spBv1.0"
_NODE_KINDS = ("NBIRTH", "NDEATH", "NDATA")
_DEVICE_KINDS = ("DBIRTH", "DDEATH", "DDATA")
#: What hosts say: their own state, in two spellings, and commands, our own among them.
_IGNORED = re.compile(rf"(?:{NAMESPACE}/)?STATE/.*|{NAMESPACE}/[^/]+/[ND]CMD/.*", re.DOTALL)
#: Characters that no name in a topic may hold, lest a command's topic be a wrong one.
_FORBIDDEN = re.compile("[+#\0]")


@dataclass(frozen=True, slots=True)
class SparkplugTopic:
    """A topic that edge nodes publish on, taken apart."""

    group: str
    #: NBIRTH, NDEATH, NDATA, DBIRTH, DDEATH or DDATA.
    kind: str
    edge: str
    #: None where the edge node itself is meant.
    device: str | None

    @property
    def edge_key(self) -> tuple[str, str]:
        """What names an edge node among all: its group and itself."""
        return self.group, self.edge

    @property
    def meter_id(self) -> str:
        """Whose readings come on it."""
        return self.edge if self.device is None else self.device

    @property
    def command_topic(self) -> str:
        """Where the edge node takes commands."""
        return f"{NAMESPACE}/{self.group}/NCMD/{self.edge}"


def is_ignored(topic: str) -> bool:
    """Tell whether it is a topic of Sparkplug that carries nothing of meters."""
    return _IGNORED.fullmatch(topic) is not None


def parse_topic(topic: str) -> SparkplugTopic | None:
    """Take a topic apart; None where it is none of an edge node's."""
    namespace, *names = topic.split("/")
    if namespace != NAMESPACE or not all(names) or _FORBIDDEN.search(topic):
        return None
    match names:
        case [group, kind, edge] if kind in _NODE_KINDS:
            return SparkplugTopic(group, kind, edge, None)
        case [group, kind, edge, device] if kind in _DEVICE_KINDS:
            return SparkplugTopic(group, kind, edge, device)
    return None
