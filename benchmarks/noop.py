"""What FastAPI itself takes to read the one model of `/predict` and write the other, and nothing else."""

from datetime import UTC, datetime

from fastapi import FastAPI

from tests.taxi import Prediction, Trip


def create() -> FastAPI:
    app = FastAPI()
    answer = Prediction(
        prediction_id="0" * 36,
        trip_duration_minutes=12.5,
        model_version=1,
        event_at=datetime(2023, 1, 10, tzinfo=UTC),
        known_zones=True,
        repeated=False,
    )

    @app.post("/predict")
    async def predict(trip: Trip) -> Prediction:
        return answer

    return app
