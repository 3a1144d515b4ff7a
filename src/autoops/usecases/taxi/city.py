"""A made-up city for sampled trips: 263 taxi zones with places, popularity and pace.

It is the same for every seed, so that samples of different seeds are different days in one city. Zone numbers and the
popularity of the busiest zones follow the green taxis of 2022 and 2023; the places of the zones are invented.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ZONES = 263
_BUSIEST = (
    (74, 75, 41, 166, 42, 43, 244, 116, 152, 24, 236, 263),
    (95, 82, 7, 130, 129, 260, 134, 196, 92, 83, 223, 226),
    (97, 65, 33, 66, 25, 181, 255, 52, 49, 61, 17, 106),
)
"""Zones around the three hubs of the city, busiest first."""

_HUB_AT = np.array([[0.0, 0.0], [6.0, -4.5], [1.0, -8.5]])
_HUB_SHARE = (0.56, 0.28, 0.16)
_TAIL_SHARE = 0.13
"""Share of pickups outside the busiest zones."""

REACH_MILES = (1.0, 2.4, 6.0)
"""Miles over which the attraction of a destination falls to 1 / e: errands, ordinary trips, long ones."""


@dataclass(frozen=True)
class City:
    """Arrays by zone, of shape (263,) unless said otherwise; zone number z stands at z - 1.

    `pickups` are shares; `nightlife` and `weekend` tilt them by the time; `pace` multiplies speed at either end.
    `miles`, of shape (263, 263), are road miles between zones. `going[reach]` holds, row after row, the cumulative
    shares of dropoff zones. `like` is the position of another zone, about as fast and of the same kind: one of the
    busiest for one of the busiest.
    """

    pickups: Array
    nightlife: Array
    weekend: Array
    pace: Array
    miles: Array
    going: tuple[Array, ...]
    like: Array


@lru_cache(maxsize=1)
def the_city() -> City:
    """Return the city, the same in every process; it is cached, so callers must not change its arrays."""
    rng = np.random.default_rng(263)
    hub = rng.integers(len(_HUB_AT), size=ZONES)
    spread = np.full(ZONES, 3.5)
    for number, zones in enumerate(_BUSIEST):
        hub[np.array(zones) - 1] = number
        spread[np.array(zones) - 1] = 1.3
    place = _HUB_AT[hub] + rng.normal(size=(ZONES, 2)) * spread[:, None]
    miles = np.linalg.norm(place[:, None] - place[None], axis=2) * 1.25
    np.fill_diagonal(miles, 0.7)
    miles = np.maximum(miles, 0.7)
    pickups = _popularity(rng)
    nightlife, weekend = rng.normal(0, 0.5, ZONES), rng.normal(0, 0.3, ZONES)
    pace = np.exp(rng.normal(0, 0.13, ZONES) + 0.04 * (spread - 2.4))
    return City(
        pickups=pickups,
        nightlife=nightlife,
        weekend=weekend,
        pace=pace,
        miles=miles,
        going=tuple(_going(pickups, miles, reach) for reach in REACH_MILES),
        like=_alike(pace),
    )


def _popularity(rng: np.random.Generator) -> Array:
    """Return the shares of pickups: within a hub they fall with rank, and every other zone has a little."""
    shares = rng.pareto(1.5, ZONES) + 0.05
    shares *= _TAIL_SHARE / shares.sum()
    for zones, share in zip(_BUSIEST, _HUB_SHARE, strict=True):
        by_rank = 1 / np.arange(1, len(zones) + 1) ** 1.1
        shares[np.array(zones) - 1] = by_rank / by_rank.sum() * share * (1 - _TAIL_SHARE)
    return shares


def _alike(pace: Array) -> Array:
    """Return the position of each zone's partner.

    The busiest zones and all others, each in order of pace, make pairs that change places; an odd one stays.
    """
    busiest = np.isin(np.arange(ZONES), np.concatenate(_BUSIEST) - 1)
    like = np.arange(ZONES)
    for kind in (np.flatnonzero(busiest), np.flatnonzero(~busiest)):
        ordered = kind[np.argsort(pace[kind])][: len(kind) // 2 * 2]
        like[ordered] = ordered.reshape(-1, 2)[:, ::-1].ravel()
    return like


def _going(pickups: Array, miles: Array, reach: float) -> Array:
    """Return the cumulative shares of destinations plus the pickup's row number, row after row.

    Destinations attract by their popularity and less with distance. With the row number added, the whole is one
    ascending array, and one search finds the zones of all trips.
    """
    draw = np.sqrt(pickups)[None] * np.exp(-miles / reach) * np.where(np.eye(ZONES), 0.4, 1)
    cumulative = np.cumsum(draw, axis=1)
    cumulative /= cumulative[:, -1:]
    return (cumulative + np.arange(ZONES)[:, None]).ravel()
