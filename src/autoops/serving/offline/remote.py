"""A remote API as a model: it receives pieces of a file as Arrow, logs the predictions, and returns them as Arrow."""

from dataclasses import dataclass

import httpx
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tenacity
import uuid_utils

from autoops.errors import InputError, ServiceUnavailable
from autoops.serving.payloads import arrow
from autoops.serving.payloads.batch import Batch
from autoops.usecase.contract import Contract

_ATTEMPTS = 30
_PAUSE_S = 1


class _Busy(ServiceUnavailable):
    """The API responded 503; whether it stored the rows is not known."""


@dataclass(frozen=True)
class RemoteModel:
    """Predicts by an API, and sends a batch again while the response is 503.

    The API may have logged the rows by then, so each has a request_id, which stays the same when they are sent again.
    A broken connection is not tried again.
    """

    api: httpx.Client
    contract: Contract

    def predict(self, batch: Batch) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return the predictions and their model versions, both of shape `(rows,)`.

        Raises:
            ServiceUnavailable: the API cannot be reached, stays busy, or responds without the predictions.
            InputError: the API rejects the request; the message has its reason.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Busy),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_fixed(_PAUSE_S),
            reraise=True,
        )
        wanted = pa.schema(
            [
                pa.field(self._prediction, pa.float64(), nullable=False),
                pa.field("model_version", pa.int32(), nullable=False),
            ]
        )
        content = retrying(self._ask, arrow.write(self._named(batch)))
        try:
            answered = pa.ipc.open_stream(content).read_all().select(wanted.names).cast(wanted)
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise ServiceUnavailable(f"{self.api.base_url} answers with no predictions: {error}") from error
        if answered.num_rows != len(batch):
            raise ServiceUnavailable(f"{self.api.base_url} answers {len(batch)} rows with {answered.num_rows}")
        return answered[self._prediction].to_numpy(), answered["model_version"].to_numpy()

    @property
    def _prediction(self) -> str:
        return "probability" if self.contract.task == "binary" else self.contract.target.column

    def _ask(self, body: bytes) -> bytes:
        try:
            answer = self.api.post("/predict/batch", content=body, headers={"content-type": arrow.MEDIA_TYPE})
        except httpx.TransportError as error:
            raise ServiceUnavailable(f"{self.api.base_url} does not answer: {error}") from error
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise _Busy(f"{self.api.base_url}: {_detail(answer)}")
        if not answer.is_success:
            raise InputError(f"{self.api.base_url} answers {answer.status_code}: {_detail(answer)}")
        return answer.content

    def _named(self, batch: Batch) -> pa.Table:
        """Return the rows, each with a request_id, by the contract's names."""
        names = [name or str(uuid_utils.uuid7()) for name in batch.request_ids or [None] * len(batch)]
        at = pa.array(batch.event_at).cast(pa.timestamp("us", "UTC"))
        columns = {name: pa.array(values, from_pandas=True) for name, values in batch.features.items()}
        return pa.table({self.contract.event_time.column: at} | columns | {"request_id": names})


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"
