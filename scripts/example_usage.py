#!/usr/bin/env python
"""The API from a client's side, with httpx only: `.venv/bin/python scripts/example_usage.py --url http://127.0.0.1:8000`.

Sends the key of AUTOOPS__SECURITY__API_KEY where there is one. Exits 1 when the API is not there or not ready.
"""

import argparse
import json
import os
import sys
import uuid
from typing import Any

import httpx

TRIP = {
    "pickup_at": "2023-01-10T08:30:00",  # no offset: New York time
    "trip_distance": 2.3,  # miles
    "passenger_count": 1,
    "pickup_location_id": 74,  # East Harlem North
    "dropoff_location_id": 41,  # Central Harlem
}


def show(what: str, answer: httpx.Response) -> Any:
    print(f"\n# {what}\n{answer.request.method} {answer.request.url.path} -> {answer.status_code}")
    print(json.dumps(answer.json(), indent=2))
    return answer.json()


def walk_through(api: httpx.Client) -> None:
    show("Which version answers, and since when", api.get("/model/info"))

    prediction = show("How long will this trip take?", api.post("/predict", json=TRIP))

    ride = f"ride-{uuid.uuid4()}"
    show("With an id of your own ...", api.post("/predict", json=TRIP | {"request_id": ride}))
    show("... a retry is answered the same and logged once", api.post("/predict", json=TRIP | {"request_id": ride}))

    trips = [TRIP | {"trip_distance": miles} for miles in (1.0, 2.0, 4.0)]
    show("Many trips at once, all from one version", api.post("/predict/batch", json={"trips": trips}))

    columns = {name: [trip[name] for trip in trips] for name in TRIP}
    show("The same as columns, which is faster", api.post("/predict/batch", json={"columns": columns}))

    labels = [
        {"prediction_id": prediction["prediction_id"], "trip_duration_minutes": 11.5},
        {"request_id": ride, "trip_duration_minutes": 12.0},
        {"request_id": "not-seen-yet", "trip_duration_minutes": 9.0},
        {"request_id": ride, "trip_duration_minutes": -1},
    ]
    show(
        "What the trips really took: known, known, not known yet (kept), refused",
        api.post("/ground-truth", json={"labels": labels}),
    )

    show("A mistake is a problem that names the field", api.post("/predict", json=TRIP | {"trip_distance": "far"}))


def main() -> int:
    parser = argparse.ArgumentParser(description="Shows the API from a client's side.")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the API answers (default: %(default)s)")
    url = parser.parse_args().url
    key = os.environ.get("AUTOOPS__SECURITY__API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=30) as api:
            ready = api.get("/ready")
            if not ready.is_success:
                print(f"{url} is not ready: {ready.text}", file=sys.stderr)
                return 1
            walk_through(api)
    except httpx.TransportError as error:
        print(f"{url} does not answer ({error}): start it with `autoops up`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
