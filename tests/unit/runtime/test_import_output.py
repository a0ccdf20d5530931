"""What `meterwarden import` says: progress, and the file of refused rows."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.file_piece import RefusedValue
from ingest.import_progress import ImportProgress
from runtime.commands.import_readings import _Telling, summary
from runtime.exceptions import RuntimeFailure
from runtime.import_display import display
from runtime.import_refusals import refusal_file


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _refused(*lines: int) -> list[RefusedValue]:
    return [RefusedValue(line, "ts", "is in the future") for line in lines]


def test_a_pipe_gets_a_line_for_each_twentieth() -> None:
    out = io.StringIO()
    with display(out) as shown:
        for at in range(1001):
            shown.show("f.csv: importing", at / 1000)
    lines = out.getvalue().splitlines()
    assert (lines[0], lines[1], lines[-1]) == (
        "f.csv: importing: 0%", "f.csv: importing: 5%", "f.csv: importing: 100%",
    )  # fmt: skip
    assert len(lines) == 21


def test_a_terminal_gets_a_bar_and_the_lines_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with display(out) as shown:
        shown.show("f.csv: importing", 0.5)
        shown.say("f.csv: line 3, [ts]: is in the future")
        shown.show("f.csv: importing", 1.0)
    assert "f.csv: line 3, [ts]: is in the future" in out.getvalue()
    assert "100%" in out.getvalue()
    assert "━" in out.getvalue()


def test_the_first_twenty_refusals_are_printed_and_all_are_written() -> None:
    out = io.StringIO()
    written: list[RefusedValue] = []
    with display(out) as shown:
        tell = _Telling("f.csv", shown, written.extend)
        for start in range(0, 60, 15):
            tell(_refused(*range(start, start + 15)))
    lines = out.getvalue().splitlines()
    assert lines[19] == "f.csv: line 19, ts: is in the future"
    assert lines[20:] == ["f.csv: more like these are counted (--refusals FILE.csv lists all)"]
    assert len(written) == 60


def test_the_last_line_says_where_nothing_changed() -> None:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    done = ImportProgress(started_at=begun, inserted=5, duplicates=2, refused=1)
    assert summary("f.csv", done) == "f.csv: 8 rows, 5 stored, 2 known before, 1 refused"
    again = ImportProgress(started_at=begun, duplicates=7, refused=1)
    assert summary("f.csv", again) == "f.csv: 8 rows, nothing new, 7 known before, 1 refused"


def test_the_file_of_refusals_goes_on_after_the_last_committed_line(tmp_path: Path) -> None:
    path = tmp_path / "refused.csv"
    with refusal_file(path, 0) as write:
        write(_refused(2, 4))
        write(_refused(7, 9))
    with path.open("a", encoding="utf-8") as torn:
        torn.write("1")  # as a kill leaves it
    with refusal_file(path, 5) as write:
        write(_refused(8, 9))
    reasons = [line.split(",")[0] for line in path.read_text("utf-8").splitlines()]
    assert reasons == ["line", "2", "4", "8", "9"]
    with refusal_file(path, 0):
        pass
    assert path.read_text("utf-8") == "line,field,reason\n"


def test_a_file_of_refusals_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeFailure, match=r"cannot write .*: "),
        refusal_file(tmp_path / "no" / "x.csv", 0),
    ):
        pass


def test_any_other_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "refused.csv"
    path.write_text("something else\n", encoding="utf-8")
    with refusal_file(path, 10) as write:
        write(_refused(11))
    assert path.read_text("utf-8") == "line,field,reason\n11,ts,is in the future\n"
