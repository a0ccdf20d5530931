"""What the simulator knows to be true, as a file beside the telemetry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from firmware_sim.fault_specs import EXPECTED
from firmware_sim.population import Population


def describe_truth(population: Population) -> dict[str, Any]:
    """Describe the injected faults and the alarms that must follow, fit for JSON."""
    faults = [
        {
            "meter_id": fault.meter_id,
            "fault": fault.fault.name.lower(),
            "check": EXPECTED[fault.fault].check,
            "level": fault.level.name.lower(),
            "starts_at": fault.starts_at.isoformat(),
            "ends_at": fault.ends_at.isoformat(),
            "decidable_at": fault.decidable_at.isoformat(),
            "strength": fault.strength,
        }
        for fault in population.faults
    ]
    return {
        "seed": population.seed,
        "start": population.start.isoformat(),
        "end": population.end.isoformat(),
        "meters": len(population.meters),
        "faults": faults,
        "expected": population.truth(),
        "tolerated": population.tolerated(),
    }


def write_truth(population: Population, path: Path) -> None:
    """Write the truth as JSON."""
    text = json.dumps(describe_truth(population), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
