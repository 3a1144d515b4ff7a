import pytest

from autoops.loop.data.label_lag import LabelLag, duration
from tests.taxi import CONTRACT


@pytest.mark.parametrize(
    ("lag", "told"),
    [
        (LabelLag(0, None, None, None, CONTRACT), ""),
        (LabelLag(40, 0.0, None, None, CONTRACT), "0% of 40 predictions are labelled"),
        (
            LabelLag(1_000, 0.62, 7_200, 0, CONTRACT),
            "62% of 1000 predictions are labelled; labels came 2.0 hours after the prediction in the median; "
            "loss is up to date",
        ),
        (
            LabelLag(40, 0.0, None, None, CONTRACT, 0.013),
            "0% of 40 predictions are labelled; 1.3% of the labels are outside the contract of 1 to 60 minutes and not "
            "judged",
        ),
        (
            LabelLag(0, None, 90, 260_000, CONTRACT),
            "labels came 90 seconds after the prediction in the median; loss is 3.0 days of traffic behind",
        ),
    ],
)
def test_only_what_is_known_is_told(lag: LabelLag, told: str) -> None:
    assert lag.told == told
    assert lag.to_json()["told"] == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 seconds"),
        (119, "119 seconds"),
        (120, "2.0 minutes"),
        (7_199, "120.0 minutes"),
        (7_200, "2.0 hours"),
        (172_799, "48.0 hours"),
        (172_800, "2.0 days"),
    ],
)
def test_a_duration_has_two_or_more_of_its_unit(seconds: float, told: str) -> None:
    assert duration(seconds) == told
