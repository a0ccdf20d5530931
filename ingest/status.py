"""The retained status message of a meter: online or not, which boot, which firmware; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import msgspec

from ingest.refusals import Reason

_LONGEST_FIRMWARE = 100
_LONGEST_REASON = 200


class WireStatus(msgspec.Struct, gc=False):
    """What a meter says of itself, or its last will says for it."""

    online: bool
    boot: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    firmware: Annotated[str, msgspec.Meta(max_length=_LONGEST_FIRMWARE)] | None = None


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A meter's status, ready to be stored."""

    meter_key: int
    online: bool
    boot: int | None
    firmware: str | None
    changed_us: int


#: How the decoder says which field was wrong.
_FIELD = re.compile(r"\$\.(\w+)")
_DECODER = msgspec.json.Decoder(WireStatus)


def decode_status(payload: bytes) -> WireStatus | Reason:
    """Decode a payload of the topic `status`; a Reason where it cannot be taken."""
    try:
        found = _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        where = _FIELD.search(str(error))
        return Reason(None, where[1] if where else "payload", ascii(str(error))[1:-1][:_LONGEST_REASON])
    # PostgreSQL's text cannot hold it.
    return Reason(None, "firmware", "holds a NUL") if "\0" in (found.firmware or "") else found
