"""Made-up tables of few rows a day: hourly demand for bikes, and a market of half hours. Each may change."""

import numpy as np
import numpy.typing as npt
import pandas as pd

Series = npt.NDArray[np.float64]


def bikes(begin: str, months: int, changes: str | None = None, seed: int = 1) -> pd.DataFrame:
    """Rentals by hour, local time. From `changes` on many more people ride to work on working days, whatever the
    weather; nothing else changes."""
    draw = np.random.default_rng(seed)
    at = _clock(begin, months, "h", "Europe/Berlin")
    day = ((at - at[0]) / np.timedelta64(1, "D")).to_numpy().astype(int)
    hour, weekday, of_year = at.hour.to_numpy(), at.dayofweek.to_numpy(), at.dayofyear.to_numpy()
    season = -np.cos(2 * np.pi * (of_year - 20) / 365)
    weather = _weather(draw, len(at))
    warmth = 10 + 11 * season + 4 * np.sin(2 * np.pi * (hour - 9) / 24) + 3 * _walk(draw, len(at), 0.99)
    holiday = np.isin(of_year, [1, 121, 276, 359, 360])
    free = (weekday >= 5) | holiday
    work = np.exp(-((hour - 8) ** 2) / 2.0) + np.exp(-((hour - 17.5) ** 2) / 4.0)
    leisure = np.exp(-((hour - 14) ** 2) / 18.0)
    shape = np.where(free, 1.1 * leisure, 1.5 * work + 0.4 * leisure) + 0.01
    if changes is not None:
        moved = (at >= pd.Timestamp(changes, tz="Europe/Berlin")) & ~free
        shape = shape + np.where(moved, 0.8 * work, 0.0)
    dull = np.array([1.0, 0.9, 0.55, 0.2])[weather]
    luck = np.exp(0.12 * _walk(draw, day.max() + 1, 0.6)[day])
    mean = 180 * shape * np.exp(0.035 * (warmth - 10)) * dull * luck
    wet = np.clip(62 - 0.8 * (warmth - 10) + 12 * (weather >= 2) + 8 * _walk(draw, len(at), 0.95), 0, 100)
    return pd.DataFrame(
        {
            "datetime": at.tz_localize(None),
            "weather": np.array(["clear", "mist", "rain", "storm"])[weather],
            "temperature": warmth.round(1),
            "humidity": np.where(draw.random(len(at)) < 0.04, np.nan, wet.round()),
            "wind": np.exp(2.3 + 0.5 * _walk(draw, len(at), 0.9)).clip(0, 150).round(1),
            "holiday": holiday,
            "count": draw.poisson(draw.gamma(12, mean / 12)),
        }
    ).loc[lambda rows: ~rows["datetime"].duplicated()]


def market(begin: str, months: int, changes: str | None = None, seed: int = 1) -> pd.DataFrame:
    """Prices and demands of half hours, scaled to 0..1. From `changes` on the second state trades, whose columns stood
    still before, and high prices no longer mean a rise."""
    draw = np.random.default_rng(seed)
    at = _clock(begin, months, "30min", "Australia/Sydney")
    part = (at.hour + at.minute / 60).to_numpy()
    work = (at.dayofweek < 5).astype(float)
    season = np.cos(2 * np.pi * (at.dayofyear.to_numpy() - 200) / 365)
    daily = np.sin(2 * np.pi * (part - 9) / 24) - 0.4 * np.cos(4 * np.pi * (part - 3) / 24)
    demand = _unit(0.9 * daily + 0.4 * work + 0.3 * season + 0.5 * _walk(draw, len(at), 0.97))
    price = _unit(1.4 * (demand - 0.5) + 0.7 * _walk(draw, len(at), 0.95) - 2.5)
    odds = 3.0 * (price - 0.1) / 0.06 * 0.4 + 2.0 * (demand - 0.5) - 0.4 * daily
    trading = np.zeros(len(at), dtype=bool)
    if changes is not None:
        trading = at >= pd.Timestamp(changes, tz="Australia/Sydney")
    other = _unit(0.8 * daily + 0.5 * _walk(draw, len(at), 0.97))
    flow = _unit(0.5 + 0.8 * _walk(draw, len(at), 0.98))
    odds = np.where(trading, 2.0 * (flow - 0.6) / 0.2 - 0.3 * odds, odds) + 0.8 * _walk(draw, len(at), 0.9)
    return pd.DataFrame(
        {
            "begins_at": at,
            "nswprice": price,
            "nswdemand": demand,
            "vicprice": np.where(trading, _unit(2 * (other - 0.5) - 2.5), 0.003467),
            "vicdemand": np.where(trading, other, 0.422915),
            "transfer": np.where(trading, flow, 0.414912),
            "class": np.where(draw.random(len(at)) < 1 / (1 + np.exp(-odds)), "UP", "DOWN"),
        }
    )


def meter(begin: str, months: int, changes: str | None = None, seed: int = 1) -> pd.DataFrame:
    """What a house with panels and a battery takes from the grid by hour, in kWh: nothing in most hours, and less than
    nothing on sunny days. From `changes` on it charges a car at night."""
    draw = np.random.default_rng(seed)
    at = _clock(begin, months, "h", "Europe/Berlin")
    hour, of_year = at.hour.to_numpy(), at.dayofyear.to_numpy()
    season = -np.cos(2 * np.pi * (of_year - 20) / 365)
    clouds = _unit(1.2 * _walk(draw, len(at), 0.97) - 0.3 * season)
    warmth = 10 + 10 * season + 4 * np.sin(2 * np.pi * (hour - 9) / 24) + 3 * _walk(draw, len(at), 0.99)
    sun = np.clip(np.cos(2 * np.pi * (hour - 12.5) / 24) + 0.35 * season, 0, None) * (1 - 0.8 * clouds)
    used = 0.4 + 0.5 * np.exp(-((hour - 19) ** 2) / 8.0) + np.clip(14 - warmth, 0, None) * 0.06
    if changes is not None:
        used = used + np.where((at >= pd.Timestamp(changes, tz="Europe/Berlin")) & (hour < 5), 1.2, 0.0)
    net = used * np.exp(0.2 * _walk(draw, len(at), 0.8)) - 2.5 * sun
    taken = np.where(np.abs(net) < 0.9, 0.0, net - 0.9 * np.sign(net))
    return pd.DataFrame(
        {
            "at": at.tz_convert("UTC"),
            "temperature": warmth.round(1),
            "clouds": (100 * clouds).round(),
            "wind": np.exp(2.3 + 0.5 * _walk(draw, len(at), 0.9)).round(1),
            "net": taken.round(2),
        }
    )


def faults(begin: str, months: int, changes: str | None = None, seed: int = 1) -> pd.DataFrame:
    """A pump by half hours: will it stop within the next one? Two in a hundred do. From `changes` on vibration no
    longer tells, and load does."""
    draw = np.random.default_rng(seed)
    at = _clock(begin, months, "30min", "UTC")
    season = -np.cos(2 * np.pi * (at.dayofyear.to_numpy() - 20) / 365)
    work = ((at.dayofweek < 5) & (at.hour >= 6) & (at.hour < 20)).astype(float)
    load = 40 + 30 * work + 8 * _walk(draw, len(at), 0.95)
    vibration = np.exp(0.5 * _walk(draw, len(at), 0.98) + 0.1 * work)
    heat = 30 + 8 * season + 0.2 * load + 2 * _walk(draw, len(at), 0.99)
    odds = 2.2 * np.log(vibration) + 0.03 * (load - 50)
    if changes is not None:
        changed = at >= pd.Timestamp(changes, tz="UTC")
        odds = np.where(changed, 0.12 * (load - 50) - 0.5, odds)
    return pd.DataFrame(
        {
            "at": at,
            "load": load.round(1),
            "vibration": vibration.round(3),
            "heat": heat.round(1),
            "stops": (draw.random(len(at)) < _unit(odds - 5.0)).astype(int),
        }
    )


def _clock(begin: str, months: int, step: str, zone: str) -> pd.DatetimeIndex:
    first = pd.Timestamp(f"{begin}-01", tz=zone)
    return pd.date_range(first, first + pd.DateOffset(months=months), freq=step, inclusive="left")


def _walk(draw: np.random.Generator, rows: int, alike: float) -> Series:
    """An autoregressive series of variance 1."""
    steps = draw.normal(0, np.sqrt(1 - alike**2), rows)
    found = np.empty(rows)
    value = float(draw.normal())
    for position, step in enumerate(steps.tolist()):
        value = alike * value + step
        found[position] = value
    return found


def _weather(draw: np.random.Generator, rows: int) -> npt.NDArray[np.int64]:
    """A chain that stays for some hours: clear, mist, rain, storm."""
    usual = np.array([0.6, 0.25, 0.13, 0.02])
    moves, fresh = draw.random(rows) < 0.15, draw.choice(4, rows, p=usual)
    last = np.maximum.accumulate(np.where(moves, np.arange(rows), 0))
    return np.asarray(fresh[last])


def _unit(odds: Series) -> Series:
    return np.asarray(1 / (1 + np.exp(-odds)))
