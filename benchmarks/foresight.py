"""Does what is measured before a model serves hold when it does? `scripts/bench.sh foresight`, with AUTOOPS_TLC_DIR.

Models of consecutive three-month windows of real months, each compared with one that is some months older: on its
holdout, as the gate does it, and in the month after, in which it would have served.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import pearsonr, spearmanr

from benchmarks.gate import GAPS, Compared, Succession, taxi_successions

WORDS = ("promote", "inconclusive", "reject")


def difference(compared: Compared) -> float:
    """Of the challenger's error, as a share of the champion's."""
    return float((compared.challenger - compared.champion).mean() / compared.champion.mean())


def main() -> None:
    named = os.environ.get("AUTOOPS_TLC_DIR")
    if not named:
        sys.exit("AUTOOPS_TLC_DIR is not set: it names the folder of real months that this needs")
    found = taxi_successions(Path(named))
    _differences(found)
    _verdicts(found)


def _differences(found: Sequence[Succession]) -> None:
    print("| months between | comparisons | correlation | by rank | better then, of those better before |")
    print("|---|---|---|---|---|")
    for gaps in (*((gap,) for gap in GAPS), GAPS):
        pairs = [(difference(each.at_gate), difference(each.after)) for each in found if each.gap in gaps]
        before, after = np.array(pairs).T
        figures = f"{pearsonr(before, after).statistic:.2f} | {spearmanr(before, after).statistic:.2f}"
        held = f"{int(((before < 0) & (after < 0)).sum())} of {int((before < 0).sum())}"
        print(f"| {', '.join(map(str, gaps))} | {len(pairs)} | {figures} | {held} |")


def _verdicts(found: Sequence[Succession]) -> None:
    print("\n| verdict | how many | at the gate | in the month after | better then |\n|---|---|---|---|---|")
    for word in WORDS:
        of = [each for each in found if each.at_gate.verdict().decision == word]
        before, after = ([difference(compared) for compared in side] for side in zip(*_sides(of), strict=True))
        better = f"{sum(each < 0 for each in after)} of {len(of)}"
        print(f"| {word} | {len(of)} | {np.mean(before):+.1%} | {np.mean(after):+.1%} | {better} |")


def _sides(found: Sequence[Succession]) -> list[tuple[Compared, Compared]]:
    return [(each.at_gate, each.after) for each in found]


if __name__ == "__main__":
    main()
