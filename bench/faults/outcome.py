"""What one fault came to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """Counts and names; only `broker_lost` and `resent` are no violations."""

    name: str
    #: Seconds from the end of the fault until a reading published then was stored; None for never.
    recovered_s: float | None = None
    acked_early: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    broker_lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    misjudged: list[str] = field(default_factory=list)
    gaps_open: int = 0
    #: How often readings were sent again.
    resent: int = 0
    published: int = 0
    #: Peak of ingest's resident memory, MB of 10^6 bytes.
    rss_mb: float = 0.0
    #: What else was promised and not kept.
    problems: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """Everything that must not be, in words."""
        found = [f"gaps open: {self.gaps_open}"] if self.gaps_open else []
        for name in ("acked_early", "lost", "doubled", "misjudged", "problems"):
            found += [f"{name}: {text}" for text in getattr(self, name)]
        return found
