"""Trips through the made-up city: when, where, how far and how long, with the cycles and shocks of real traffic.

The curves by hour are those of the green taxis of 2022 and 2023. Days differ beyond the calendar: volume and speed
carry shocks that fade over days, so that steady days are not independent.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from autoops.months import Month
from autoops.usecase.calendar import local_hours
from autoops.usecases.taxi.city import ZONES, the_city
from autoops.usecases.taxi.trips import NEW_YORK

Array = npt.NDArray[Any]

# fmt: off
_VOLUME = np.array([
    [.31, .18, .11, .08, .08, .12, .43, 1.07, 1.38, 1.42, 1.35, 1.35,
     1.32, 1.30, 1.51, 1.67, 1.76, 1.89, 1.86, 1.49, 1.11, .88, .73, .57],
    [.77, .58, .42, .32, .23, .16, .24, .41, .61, .90, 1.17, 1.42,
     1.54, 1.52, 1.63, 1.72, 1.71, 1.67, 1.68, 1.43, 1.18, 1.04, .89, .79]])
_SPEED = np.array([
    [13.3, 13.4, 13.2, 13.3, 15.5, 16.0, 13.6, 10.7, 9.8, 10.2, 10.2, 9.9,
     9.9, 9.8, 9.2, 9.0, 9.1, 9.5, 10.2, 11.0, 11.6, 12.2, 12.7, 12.9],
    [12.6, 13.0, 13.5, 14.0, 14.7, 15.7, 16.8, 15.5, 14.2, 13.2, 12.2, 11.6,
     11.2, 10.9, 10.6, 10.5, 10.5, 10.6, 10.8, 11.2, 11.6, 12.1, 12.4, 12.7]])
# fmt: on
"""Of shape (2, 24), weekdays and weekends by local hour: trips relative to the mean, and mph of a trip of two miles."""

_DAY_VOLUME = np.array([0.95, 1.01, 1.05, 1.08, 1.07, 1.03, 0.88])
_REACH = np.array([0.38, 0.50, 0.12])
_REACH_OF_UNREPORTED = np.array([0.05, 0.30, 0.65])
_PASSENGERS = ((1, 2, 5, 6, 3, 0, 4), (0.854, 0.084, 0.022, 0.015, 0.014, 0.006, 0.005))

SHOCK_LASTS = 0.5
"""Correlation of a day's shock with the day before's."""
FAST_ZONES = 20
"""The quiet zones with the fastest roads: how many they are."""

VOLUME_SHOCK, SPEED_SHOCK = 0.08, 0.012
"""Standard deviations of the logarithm."""


@dataclass(frozen=True)
class Regime:
    """What a scenario changes about traffic."""

    speed: float = 1
    """Multiplies every speed."""
    elsewhere: float = 0
    """Share of trips that begin in zones which are quiet otherwise, and go far."""
    fast_roads: bool = False
    """Whether these are only the zones with the fastest roads."""
    delay: float = 0
    """Minutes that every trip lasts longer."""
    moved: float = 0
    """Share of trips that begin and end in zones like their own, over as many miles."""


@dataclass(frozen=True)
class Trips:
    """Columns of one length, of shape (rows,).

    `picked_up` is New York's wall clock. `unreported` are trips of which the TLC learns only where, when and how far
    (no passenger count, no payment type).
    """

    picked_up: Array
    minutes: Array
    miles: Array
    pickup_zone: Array
    dropoff_zone: Array
    passengers: Array
    unreported: Array

    def __len__(self) -> int:
        return len(self.picked_up)

    def changed(self, **columns: Array) -> "Trips":
        """Return the trips with these columns replaced, each of shape (rows,)."""
        return replace(self, **columns)

    def taken(self, rows: Array) -> "Trips":
        """Return these rows, in this order."""
        return Trips(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})


def trips_of(month: Month, count: int, seed: int, unreported: float, regime: Regime) -> Trips:
    """Return `count` trips of a month; the same for the same arguments, whichever other months are drawn."""
    rng = np.random.default_rng([seed, month.year, month.month])
    hours = _hours_of(month)
    volume, speed = _shocks(seed, hours.day)
    weights = _VOLUME[hours.weekend, hours.hour] * _DAY_VOLUME[hours.weekday] * np.exp(volume)
    slot = np.repeat(np.arange(len(weights)), rng.multinomial(count, weights / weights.sum()))
    is_unreported = rng.random(count) < unreported
    pickup, dropoff, miles = _journeys(rng, hours.hour[slot], hours.weekend[slot], is_unreported, regime)
    # A stream of its own: all that is drawn after it is the same as in a month without moved trips.
    pickup, dropoff = _moved(np.random.default_rng([seed, month.year, month.month, 2]), pickup, dropoff, regime.moved)
    pace = np.sqrt(the_city().pace[pickup] * the_city().pace[dropoff])
    mph = _SPEED[hours.weekend[slot], hours.hour[slot]] * pace * np.exp(speed[slot]) * regime.speed
    seconds = rng.integers(3600, size=count).astype("timedelta64[s]")
    return Trips(
        picked_up=hours.wall[slot] + seconds,
        minutes=_minutes(rng, miles, mph, is_unreported) + regime.delay,
        miles=miles,
        pickup_zone=pickup + 1,
        dropoff_zone=dropoff + 1,
        passengers=rng.choice(_PASSENGERS[0], size=count, p=_PASSENGERS[1]).astype(float),
        unreported=is_unreported,
    )


@dataclass(frozen=True)
class _Hours:
    """The hours that a month has in New York; `wall` is when each begins, `day` counts days since 1970."""

    wall: Array
    hour: Array
    weekday: Array
    day: Array

    @property
    def weekend(self) -> Array:
        return (self.weekday >= 5).astype(int)


def _hours_of(month: Month) -> _Hours:
    """Return the month's hours, from UTC.

    The hour that the spring skips is missing, and the one that the autumn repeats stands twice.
    """
    begin, end = (
        np.datetime64(moment.replace(tzinfo=None), "h")
        for moment in (month.starts_in(NEW_YORK), month.ends_in(NEW_YORK))
    )
    hours = local_hours(np.arange(begin, end), NEW_YORK)
    day = hours // 24
    return _Hours(hours.astype("datetime64[h]").astype("datetime64[s]"), hours % 24, (day + 3) % 7, day)


def _shocks(seed: int, day: Array) -> tuple[Array, Array]:
    """Return the day's departures from the calendar, of volume and of speed, as logarithms.

    They are an autoregression that began in 2009, so that it runs on from one month into the next.
    """
    first = int(np.datetime64("2009-01-01").astype(int))
    # Row by row: a later month draws more rows and leaves those of earlier days as they are.
    news = np.random.default_rng([seed, first]).normal(size=(int(day.max()) - first + 1, 2))
    # Thirty days hold nearly all of the memory (0.5**30 < 1e-9); the root makes the variance 1.
    memory = SHOCK_LASTS ** np.arange(30) * np.sqrt(1 - SHOCK_LASTS**2)
    volume, speed = (np.convolve(news[:, column], memory)[day - first] for column in (0, 1))
    return VOLUME_SHOCK * volume, SPEED_SHOCK * speed


def _journeys(
    rng: np.random.Generator, hour: Array, weekend: Array, unreported: Array, regime: Regime
) -> tuple[Array, Array, Array]:
    """Return positions of pickup and dropoff zones, and the miles between them."""
    city = the_city()
    elsewhere = rng.random(len(hour)) < regime.elsewhere
    # Both kinds of zones are drawn for every trip, so that no scenario shifts the other draws.
    pickup = np.where(elsewhere, _quiet_zones(rng, len(hour), regime.fast_roads), _pickup_zones(rng, hour, weekend))
    odds = np.where(unreported[:, None], _REACH_OF_UNREPORTED, _REACH)
    odds = odds * np.where((hour < 6)[:, None], [0.7, 1.0, 2.0], 1.0)
    bounds = np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)
    # By rounding the last bound may be below 1, and a draw above all three.
    reach = np.where(elsewhere, 2, np.minimum((rng.random(len(hour))[:, None] > bounds).sum(axis=1), 2))
    draw = pickup + rng.random(len(hour))
    found = np.choose(reach, [np.searchsorted(going, draw) for going in city.going])
    # By rounding the search may end in the neighbouring row.
    dropoff = np.clip(found - pickup * ZONES, 0, ZONES - 1)
    miles = city.miles[pickup, dropoff] * np.exp(rng.normal(0, 0.28, len(hour)))
    return pickup, dropoff, np.asarray(np.maximum(np.round(miles, 2), 0.05))


def _moved(rng: np.random.Generator, pickup: Array, dropoff: Array, share: float) -> tuple[Array, Array]:
    like, moves = the_city().like, rng.random(len(pickup)) < share
    return np.where(moves, like[pickup], pickup), np.where(moves, like[dropoff], dropoff)


def _pickup_zones(rng: np.random.Generator, hour: Array, weekend: Array) -> Array:
    """Draw pickup zones by popularity, tilted towards nightlife late and towards leisure at weekends."""
    city = the_city()
    night = np.cos(2 * np.pi * (np.arange(24) - 1) / 24)
    tilt = city.nightlife * night[:, None, None] + city.weekend * np.array([0, 1])[:, None]
    shares = (city.pickups * np.exp(tilt)).reshape(48, ZONES)
    cumulative = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1) + np.arange(48)[:, None]
    slot = hour * 2 + weekend
    found = np.searchsorted(cumulative.ravel(), slot + rng.random(len(hour))) - slot * ZONES
    return np.asarray(np.clip(found, 0, ZONES - 1))


def _quiet_zones(rng: np.random.Generator, count: int, fast_roads: bool) -> Array:
    city = the_city()
    quiet = np.where(city.pickups < np.quantile(city.pickups, 0.8), 1.0, 0.0)
    if fast_roads:
        quiet[np.argsort(city.pace * quiet)[:-FAST_ZONES]] = 0
    return rng.choice(ZONES, size=count, p=quiet / quiet.sum())


def _minutes(rng: np.random.Generator, miles: Array, mph: Array, unreported: Array) -> Array:
    """Draw durations in minutes: longer trips are faster; the scatter grows with the trip, and has a long tail."""
    faster = (miles / 2) ** np.where(miles < 2, 0.18, 0.42)
    usual = 60 * miles / (mph * faster)
    scatter = np.where(unreported, 0.27, 0.22)
    minutes = usual * np.exp(rng.normal(0, 1, len(miles)) * scatter) + rng.exponential(0.4, len(miles))
    held_up = rng.random(len(miles)) < 0.03
    return np.asarray(np.where(held_up, minutes * rng.uniform(1.3, 2.6, len(miles)), minutes))
