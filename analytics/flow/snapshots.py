"""The flow's snapshots, each beside the one before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.block import Block, Floats
from analytics.samples import Samples, flow


@dataclass(frozen=True, slots=True, eq=False)
class Snapshots:
    """Snapshots of a flow at rising times, shape (k,)."""

    samples: Samples
    #: Change, and time, since the snapshot before; NaN, and meaningless, at the first of all.
    rise: Floats
    elapsed_us: NDArray[np.int64]

    @classmethod
    def of(cls, block: Block) -> Snapshots:
        """Take those of a block; for `Block.once`."""
        state = block.state
        samples = block.once(flow).later(state["flow_tail_us"])
        return cls(
            samples,
            samples.seg.rises(samples.value, state["flow_tail"]),
            samples.seg.rises(samples.time_us, state["flow_tail_us"]),
        )

    def carried(self, block: Block) -> dict[str, NDArray[Any]]:
        """Carry each meter's last snapshot."""
        state, samples = block.state, self.samples
        return {
            "flow_tail_us": samples.closing(samples.time_us, state["flow_tail_us"]),
            "flow_tail_seq": samples.closing_of(block.readings.seq, state["flow_tail_seq"]),
            "flow_tail": samples.closing(samples.value, state["flow_tail"]),
        }


#: What `Snapshots` carries; one check has to list it.
FIELDS = (("flow_tail_us", "i8"), ("flow_tail_seq", "i8"), ("flow_tail", "f8"))
