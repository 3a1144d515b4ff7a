"""A prediction service as most templates write it: a pickled forest, a pydantic model, pandas, a plain `def`.

Runs in an environment of its own, without this project. It logs nothing, and its callers know the model's features.
"""

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class Trip(BaseModel):
    trip_distance: float
    passenger_count: int
    hour: int
    day_of_week: int
    pickup_location_id: int
    dropoff_location_id: int


class Batch(BaseModel):
    trips: list[Trip]


@app.post("/predict")
def predict(trip: Trip) -> dict[str, float]:
    frame = pd.DataFrame([trip.model_dump()])
    return {"trip_duration_minutes": float(model.predict(frame.to_numpy())[0])}


@app.post("/predict/batch")
def predict_batch(batch: Batch) -> dict[str, list[float]]:
    frame = pd.DataFrame([trip.model_dump() for trip in batch.trips])
    return {"trip_duration_minutes": model.predict(frame.to_numpy()).tolist()}
