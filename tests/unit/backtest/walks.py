"""Walks made up from errors by day."""

from typing import Any

import numpy as np

from autoops.backtest.simulation import Simulated

DAYS = 10
ROWS = 100


def retraining(decision: str = "promote", **also: Any) -> dict[str, Any]:
    about = {"at": "2022-05-01T04:00:00+00:00", "months": ["2022-04"], "reason": "", "promoted": decision == "promote"}
    known = {"kind": "drift", "version": None, "detected": False, "evidence_start": None, "evidence_end": None}
    return about | {"decision": decision} | known | also


def month(name: str, mae: float, *retrainings: dict[str, Any], swing: float = 0.0) -> dict[str, Any]:
    """Ten days of a hundred trips, each day's error `swing` above or below `mae`."""
    first = int(np.datetime64(name, "D").astype(int))
    minutes = [ROWS * (mae + (swing if day % 2 else -swing)) for day in range(DAYS)]
    return {
        "month": name,
        "errors": {"days": list(range(first, first + DAYS)), "rows": [ROWS] * DAYS, "minutes": minutes},
        "version": 1,
        "training_months": ["2022-01"],
        "cpu_seconds": 2.0,
        "checks": [],
        "rolled_back": 0,
        "retrainings": list(retrainings),
    }


def simulated(policy: str, *months: dict[str, Any], seed: int | None = None) -> Simulated:
    about = {"policy": policy, "lag": 0, "seed": seed, "cpu_seconds": sum(each["cpu_seconds"] for each in months)}
    return about | {"months": list(months)}
