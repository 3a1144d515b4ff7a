"""Label lag: how far ground truth is behind the predictions. Loss is measured on rows that are that old."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from autoops.event_times import newest_of, times_of
from autoops.loop.context import Context
from autoops.loop.data.windows import Window
from autoops.usecase.contract import Contract


@dataclass(frozen=True)
class LabelLag:
    """How far labels are behind in a window of live traffic; a field is None without rows to compute it.

    `share` of the window's `predictions` are labelled by now. `delay_s` is the median wall time from prediction to
    label, in seconds. `behind_s` is the event time, in seconds, by which the newest row is newer than the newest
    labelled one. `outside` is the share of the window's labels that are outside the training contract and count in no
    error.
    """

    predictions: int
    share: float | None
    delay_s: float | None
    behind_s: float | None
    contract: Contract
    outside: float | None = None

    def to_json(self) -> Mapping[str, object]:
        """Return the lag as JSON for the check's record."""
        return {name: value for name, value in vars(self).items() if name != "contract"} | {"told": self.told}

    @property
    def told(self) -> str:
        """Return the lag as text, without fields that are None and without an `outside` of 0."""
        parts = [f"{self.share:.0%} of {self.predictions} predictions are labelled"] if self.share is not None else []
        if self.delay_s is not None:
            parts.append(f"labels came {duration(self.delay_s)} after the prediction in the median")
        if self.behind_s is not None:
            parts.append(
                f"loss is {duration(self.behind_s)} of traffic behind" if self.behind_s else "loss is up to date"
            )
        if self.outside:
            bounds = f"{self.contract.target}{self.contract.unit}"
            parts.append(f"{self.outside:.1%} of the labels are outside the contract of {bounds} and not judged")
        return "; ".join(parts)


def lag_of(context: Context, window: Window) -> LabelLag | None:
    """Return the label lag of a window of live traffic.

    None for a window without rows, and for a published month, whose rows are all labelled.
    """
    logged, labelled = window.logged, [row.logged for row in window.with_any_label]
    if window.span is not None or not (logged or labelled):
        return None
    known = context.log.labelled_at([*logged, *labelled])
    # Only the fastest labels of new predictions are in: labels of this window take precedence.
    delays = [(known[row.id] - row.predicted_at).total_seconds() for row in labelled or logged if row.id in known]
    early = () if window.matured_until else (row for row in logged if row.id in known)
    truth = [row.event_at for row in (*labelled, *early)]
    newest, labelled_until = newest_of(times_of([row.event_at for row in logged])), newest_of(times_of(truth))
    behind = newest - labelled_until if newest and labelled_until else None
    return LabelLag(
        predictions=len(logged),
        share=sum(row.id in known for row in logged) / len(logged) if logged else None,
        delay_s=median(delays) if delays else None,
        # Negative where the newest label is of a newer row than all predictions of the window.
        behind_s=max(behind, timedelta(0)).total_seconds() if behind is not None else None,
        contract=context.contract,
        outside=len(window.outside) / len(labelled) if labelled else None,
    )


def duration(seconds: float) -> str:
    """Format seconds in the largest unit of which there are at least two."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"
