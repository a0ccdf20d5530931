"""A small file system in memory that can be filled to the last byte."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHUNK = 1 << 20
_SMALLEST = 1 << 10


class Disk:
    """A folder; where it is a small file system of its own, it can be full."""

    def __init__(self, folder: Path, *, is_small: bool) -> None:
        self.folder = folder
        #: Whether it is a file system of its own, which may be filled.
        self.is_small = is_small
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Take all the room that is left, where that is nobody else's."""
        if not self.is_small:
            msg = f"{self.folder} is no small file system"
            raise ValueError(msg)
        size = _CHUNK
        with self._ballast.open("ab", buffering=0) as ballast:
            while size >= _SMALLEST:
                try:
                    ballast.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[Disk]:
    """Mount a file system of so many MB, or give a plain folder to whom may not mount."""
    folder.mkdir()
    folder.chmod(0o755)
    options = f"size={size_mb}m,mode=0755"
    command = ["mount", "-t", "tmpfs", "-o", options, "faults", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield Disk(folder, is_small=mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
