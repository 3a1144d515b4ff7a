"""MLflow over its REST API, as somebody who compares runs uses it."""

from typing import Any

import httpx

MODEL = "nyc_taxi_trip_duration"
TRAINING, MONITORING = MODEL, f"{MODEL}_monitoring"
Record = dict[str, Any]


class Mlflow:
    def __init__(self, url: str, password: str) -> None:
        self._http = httpx.Client(
            base_url=f"{url}/api/2.0/mlflow", auth=("admin", password), timeout=60, trust_env=False
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **parameters: str) -> Record:
        found: Record = self._http.get(path, params=parameters).raise_for_status().json()
        return found

    def champion(self, alias: str = "champion") -> int:
        found = self.get("/registered-models/alias", name=MODEL, alias=alias)
        return int(found["model_version"]["version"])

    def versions(self) -> dict[int, Record]:
        """Run id and tags by number."""
        found = self.get("/model-versions/search", filter=f"name = '{MODEL}'", max_results="1000")
        return {
            int(one["version"]): {"run_id": one["run_id"], "tags": _pairs(one.get("tags", []))}
            for one in found.get("model_versions", [])
        }

    def run(self, run_id: str) -> Record:
        """Status, params, metrics and tags."""
        return _run(self.get("/runs/get", run_id=run_id)["run"])

    def runs(self, experiment: str) -> dict[str, Record]:
        """The latest thousand by run id."""
        known = self.get("/experiments/get-by-name", experiment_name=experiment)["experiment"]
        body = {"experiment_ids": [known["experiment_id"]], "max_results": 1000}
        found = self._http.post("/runs/search", json=body).raise_for_status().json()
        return {one["info"]["run_id"]: _run(one) for one in found.get("runs", [])}


def _run(found: Record) -> Record:
    data = found["data"]
    return {"status": found["info"]["status"]} | {
        kind: _pairs(data.get(kind, [])) for kind in ("params", "metrics", "tags")
    }


def _pairs(entries: list[Record]) -> Record:
    return {one["key"]: one["value"] for one in entries}
