"""Bodies that claim more values than they have: what of them counts."""

import pytest

from autoops.serving.payloads import bodies
from autoops.serving.payloads.bodies import loads
from autoops.serving.payloads.validation_errors import NotJson, TooManyRows

ROWS, FIELDS = 10, 6
MOST = ROWS * (FIELDS + 10) + 1000


@pytest.mark.parametrize("end", [b"", b"\\", b"\\\\", b"x"])
def test_an_unclosed_string_is_one_string_to_the_end(end: bytes) -> None:
    """Or each of its quotes would be tried as the beginning of one, in quadratic time."""
    assert bodies._STRING.sub(b"", b"[" + b'"' + b'\\"' * 2_000 + end) == b"["


def test_commas_in_strings_are_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_FREE_BYTES", 0)
    assert loads(b'["' + b"," * 2 * MOST + b'"]', ROWS, FIELDS) == ["," * 2 * MOST]
    with pytest.raises(NotJson):
        loads(b'["' + b"," * 2 * MOST, ROWS, FIELDS)
    with pytest.raises(TooManyRows):
        loads(b"[" + b"1," * MOST + b'1,"' + b'\\"' * 2_000, ROWS, FIELDS)
