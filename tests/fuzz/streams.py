"""Mutated Arrow streams by the hundred thousand, straight into the reader: Hypothesis would take hours."""

import random
from collections import Counter
from datetime import datetime

import pyarrow as pa

from autoops.errors import InputError
from autoops.serving.payloads.arrow import ArrowReader
from tests.arrow_streams import stream, trip_table
from tests.taxi import CONTRACT, MODELS

_READER = ArrowReader(MODELS)
_AT = datetime(2023, 1, 10, 10, 30)
WHOLE = [
    stream(trip_table(40, request_id=pa.array([f"ride-{i}" for i in range(40)])), batch_rows=15),
    stream(trip_table(40, pickup_at=pa.array([_AT, None] * 20, pa.timestamp("us")), passenger_count=pa.nulls(40))),
    stream(
        trip_table(
            8, pickup_at=pa.array([_AT] * 8, pa.timestamp("ns", "UTC")), trip_distance=pa.array([1.5] * 8, pa.float32())
        )
    ),
    stream(
        trip_table(30, request_id=pa.array(["x" * i or None for i in range(30)], pa.large_string())), compression="zstd"
    ),
]
_LIES = [
    (2**31 - 1).to_bytes(4, "little"),
    b"\xff" * 4,
    b"\0" * 4,
    b"\1\0\0\0",
    b"\xff" * 7 + b"\x7f",
    b"\0" * 7 + b"\x80",
]


def mutate(count: int, seed: int) -> Counter[str]:
    """What became of them: taken, or refused by which error. Anything else is raised."""
    draw, outcomes = random.Random(seed), Counter[str]()
    for number in range(count):
        body = _mutated(draw, WHOLE[number % len(WHOLE)])
        try:
            batch = _READER.read(body, 1000)
        except InputError as error:
            outcomes[type(error).__name__] += 1
            continue
        except BaseException:
            print(f"of seed {seed}, number {number}: {body.hex()}")
            raise
        for name in ("trip_distance", "pickup_location_id"):
            assert CONTRACT.features[name].contains(batch.features[name]).all()
        outcomes["taken"] += 1
    return outcomes


def _mutated(draw: random.Random, whole: bytes) -> bytes:
    body = bytearray(whole)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(body) or 1)
        match draw.randrange(5):
            case 0:
                body[at : at + 1] = draw.randbytes(1)
            case 1:
                lie, at = draw.choice(_LIES), at // 4 * 4
                body[at : at + len(lie)] = lie
            case 2:
                del body[at : at + draw.randint(1, 16)]
            case 3:
                body[at:at] = body[at : at + draw.randint(1, 64)]
            case 4 if draw.random() < 0.2:
                del body[at:]
    return bytes(body)
