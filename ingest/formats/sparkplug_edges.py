"""The edge nodes that are known, of which anybody may invent any number: bounded in number and memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.formats.sparkplug_state import Edge

#: More than this at work at once would be asked for rebirths over and over.
MOST_EDGES = 20_000
#: About as much as 80,000 devices of eight metrics each take.
MOST_BYTES = 128_000_000

#: Group and name.
EdgeKey = tuple[str, str]


@dataclass(slots=True)
class Edges:
    """Edge nodes by their keys; where they are too many, those least recently heard are forgotten."""

    #: In the order in which they were heard last.
    _edges: dict[EdgeKey, Edge] = field(default_factory=dict)
    _size_bytes: int = 0

    def __len__(self) -> int:
        return len(self._edges)

    def copy(self) -> Edges:
        """Give one that stays as this one is now."""
        return Edges(dict(self._edges), self._size_bytes)

    def get(self, key: EdgeKey) -> Edge | None:
        """Give what is known of an edge node; None where none of its births is."""
        return self._edges.get(key)

    def put(self, key: EdgeKey, edge: Edge) -> None:
        """Keep what is known of an edge node now, which has just been heard."""
        self._drop(key)
        self._edges[key] = edge
        self._size_bytes += _size_bytes(key, edge)
        while len(self._edges) > MOST_EDGES or self._size_bytes > MOST_BYTES:
            self._drop(next(iter(self._edges)))

    def _drop(self, key: EdgeKey) -> None:
        edge = self._edges.pop(key, None)
        if edge is not None:
            self._size_bytes -= _size_bytes(key, edge)


def _size_bytes(key: EdgeKey, edge: Edge) -> int:
    return sum(map(len, key)) + edge.size_bytes
