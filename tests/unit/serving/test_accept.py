import pytest

from autoops.serving.payloads.accept import preferred

OFFERED = ("application/json", "application/vnd.apache.arrow.stream")


@pytest.mark.parametrize(
    ("header", "position"),
    [
        ("", 0),
        ("*/*", 0),
        ("application/*", 0),
        ("application/json", 0),
        ("application/vnd.apache.arrow.stream", 1),
        ("Application/VND.apache.arrow.stream; charset=x", 1),
        ("application/json;q=0.5, application/vnd.apache.arrow.stream", 1),
        ("application/json;q=0.5, */*;q=0.8", 1),
        ("application/json;q=1, application/vnd.apache.arrow.stream", 0),
        ("application/json, application/vnd.apache.arrow.stream;q=7", 0),
        ("application/json;q=0, */*", 1),
        ("text/html, */*;q=0.1", 0),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=nonsense", None),
        ("application/json;q=nan", None),
    ],
)
def test_the_most_wanted_kind_is_given(header: str, position: int | None) -> None:
    assert preferred(header, OFFERED) == (None if position is None else OFFERED[position])
