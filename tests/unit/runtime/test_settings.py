"""Settings and their guard."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.commands.api import is_loopback, run_api
from runtime.demo_report import score
from runtime.exceptions import RuntimeFailure
from runtime.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"METERWARDEN_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_variable_goes_before_the_file_and_the_file_before_the_default(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "meterwarden.toml").write_text("http_port = 9000\nmqtt_version = 3\n", encoding="utf-8")
    monkeypatch.setenv("METERWARDEN_HTTP_PORT", "9001")
    settings = load_settings()
    assert (settings.http_port, settings.mqtt_version, settings.http_host) == (9001, 3, "127.0.0.1")


@pytest.mark.parametrize(
    "line", ["http_port = 99999", "colour = 1", "mqtt_version = 4", "ingest_identity = 'a b'", "= ="]
)
def test_a_wrong_setting_is_one_line(elsewhere: Path, line: str) -> None:
    (elsewhere / "meterwarden.toml").write_text(line, encoding="utf-8")
    with pytest.raises(RuntimeFailure) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_the_token_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERWARDEN_API_TOKEN", "canary-7")
    assert "canary-7" not in repr(load_settings())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.test"])
def test_others_can_reach_the_api_only_with_a_token(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(RuntimeFailure, match="METERWARDEN_API_TOKEN"):
        run_api(Settings(http_host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert is_loopback(host)


def test_the_score_leaves_out_what_a_fault_may_cause_besides() -> None:
    raised = [("A", "flow_over_range"), ("A", "flow_spike"), ("B", "flow_spike")]
    result = score({"flow_over_range": ["A"]}, raised, {"flow_spike": ["A"]})
    assert (result.false_alarms, result.missed, result.unexpected) == (1, [], ["B/flow_spike"])


def test_the_score_counts_what_was_found_missed_and_made_up() -> None:
    expected = {"battery_low": ["A", "B"], "oil_overdue": ["C"]}
    result = score(
        expected, [("A", "battery_low"), ("C", "oil_overdue"), ("C", "oil_overdue"), ("D", "oil_overdue")]
    )
    assert result.truth == {"battery_low": 2, "oil_overdue": 1}
    assert result.found == {"battery_low": 1, "oil_overdue": 1}
    assert (result.false_alarms, result.missed, result.unexpected) == (
        1,
        ["B/battery_low"],
        ["D/oil_overdue"],
    )
