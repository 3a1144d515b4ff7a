"""What is told of mlflow's errors, whose messages run to pages."""

from autoops.mlflow_registry.answers import MOST_CHARACTERS, told


def test_of_a_long_message_the_beginning_and_the_cause_are_told() -> None:
    asked, cause = (
        "Max retries exceeded with url: /" + "a" * MOST_CHARACTERS,
        "(Caused by 'too many 503 error responses')",
    )
    line = told(RuntimeError(f"{asked} {cause}\nand more"))
    assert line.startswith("Max retries exceeded")
    assert line.endswith(cause)
    assert len(line) < MOST_CHARACTERS + 10


def test_a_message_that_fits_is_told_as_it_is() -> None:
    assert told(RuntimeError("no such run\n  at ...")) == "no such run"
    assert told(RuntimeError()) == "RuntimeError"
