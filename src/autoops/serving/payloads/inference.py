"""Tensors of the Open Inference Protocol (version 2, JSON): each is a column of the batch, or of the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
import pyarrow as pa
from pydantic import Field, ValidationError

from autoops.serving.payloads.batch import Batch
from autoops.serving.payloads.batch_bodies import BodyReader
from autoops.serving.payloads.bodies import loads
from autoops.serving.payloads.responses import OPTIONS, AnswerEncoder, BatchAnswer
from autoops.serving.payloads.row_models import RowModels
from autoops.serving.payloads.schemas import Request, RequestId
from autoops.serving.payloads.validation_errors import InvalidRows, ValidationErrors, field_problem
from autoops.usecase.contract import Feature

ID = "prediction_id"
_REALS = ("FP64", "FP32", "FP16")
_WHOLE = ("INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8")
_BINARY = "binary_data_size"
_DATATYPES: Mapping[pa.DataType, str] = {
    pa.float64(): "FP64",
    pa.int32(): "INT32",
    pa.int64(): "INT64",
    pa.bool_(): "BOOL",
    pa.string(): "BYTES",
    pa.timestamp("us", "UTC"): "BYTES",
}
_MOST_TENSORS = 10_000

Parameters = dict[str, object]


class _Tensor(Request):
    name: str
    shape: Annotated[list[Annotated[int, Field(ge=0, le=2**31)]], Field(min_length=1, max_length=2)]
    datatype: str
    data: list[Any] | None = None
    parameters: Parameters | None = None


class _Wanted(Request):
    name: str
    parameters: Parameters | None = None


class _Body(Request):
    id: RequestId | None = None
    parameters: Parameters | None = None
    inputs: Annotated[list[_Tensor], Field(min_length=1, max_length=_MOST_TENSORS)]
    outputs: Annotated[list[_Wanted], Field(max_length=_MOST_TENSORS)] | None = None


@dataclass(frozen=True)
class Asked:
    """A request for inference: its rows, the client's id of it, and the names of the outputs that it wants."""

    batch: Batch
    id: str | None
    outputs: Sequence[str]


class Tensors:
    """Reads requests and writes responses; `inputs` and `outputs` are the datatypes by name.

    The first datatype of an input is the one that the metadata names, the others are taken as well.
    """

    def __init__(self, models: RowModels, bodies: BodyReader, answers: AnswerEncoder) -> None:
        contract = models.contract
        self._features, self._bodies, self._answers = contract.features, bodies, answers
        self.inputs: dict[str, Sequence[str]] = {contract.event_time.column: ("BYTES",)}
        self.inputs |= {name: _taken(feature) for name, feature in contract.features.items()}
        self.inputs |= {"request_id": ("BYTES",)}
        # The prediction comes first, because clients without the names read the first output.
        names = [*(name for name in answers.arrow_fields if name != ID), ID]
        self.outputs = {name: _DATATYPES[answers.arrow_fields[name]] for name in names}

    def read(self, body: bytes, max_rows: int) -> Asked:
        """Return what is asked for, by the same rules as a batch in columns.

        The id of a request with one row is that row's request_id, unless a tensor names it.

        Raises:
            InvalidRows: the body is no inference request.
            InputError: its rows are invalid.
        """
        # Nested data, [[1], [2]], has two values for each number.
        content = loads(body, max_rows, 2 * len(self.inputs))
        try:
            asked = _Body.model_validate(content)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            raise InvalidRows([field_problem(one) for one in found], len(found)) from None
        columns = self._columns(asked.inputs)
        if asked.id is not None and all(len(values) == 1 for values in columns.values()):
            columns.setdefault("request_id", [asked.id])
        wanted = [output.name for output in asked.outputs or ()] or list(self.outputs)
        errors = ValidationErrors("outputs.")
        for name in wanted:
            if name not in self.outputs:
                errors.column(name, f"expected one of {', '.join(self.outputs)}")
        errors.check()
        return Asked(self._bodies.columns(columns, max_rows, "inputs."), asked.id, wanted)

    def _columns(self, tensors: Sequence[_Tensor]) -> dict[str, list[Any]]:
        columns, errors = dict[str, list[Any]](), ValidationErrors("inputs.")
        for tensor in tensors:
            name, datatypes = tensor.name, self.inputs.get(tensor.name)
            if tensor.data is None or _BINARY in (tensor.parameters or ()):
                errors.column(name, "expected its values as JSON in `data`: binary tensors are not taken")
                continue
            values = _flat(tensor.data)
            if name in columns:
                errors.column(name, "expected one tensor of this name")
            if tensor.shape not in ([len(values)], [len(values), 1]):
                expected = f"expected [{len(values)}] or [{len(values)}, 1], as its data"
                errors.column(name, f"shape: {expected}, got {tensor.shape}")
            if datatypes is not None and tensor.datatype not in datatypes:
                expected = f"expected {' or '.join(datatypes)}"
                errors.column(name, f"datatype: {expected}, got {tensor.datatype[:20]}")
            columns[name] = self._values(name, values)
        errors.check()
        return columns

    def _values(self, name: str, values: list[Any]) -> list[Any]:
        """Return the values as columns have them: NaN is a missing number, and 3.0 a whole one where one is due."""
        feature = self._features.get(name)
        if feature is None or not any(type(value) is float for value in values):
            return values
        if feature.nullable:
            values = [None if value != value else value for value in values]
        if feature.type == "int" or feature.is_whole:
            return [int(value) if type(value) is float and value.is_integer() else value for value in values]
        return values

    def write(self, answer: BatchAnswer, asked: Asked, model_name: str) -> bytes:
        """Return the body of the response, JSON in UTF-8."""
        columns, rows = self._answers.columns(answer), len(answer.prediction)
        outputs = [
            {"name": name, "datatype": self.outputs[name], "shape": [rows], "data": columns[name]}
            for name in asked.outputs
        ]
        own = {} if asked.id is None else {"id": asked.id}
        about = {"model_name": model_name, "model_version": str(answer.answered_by)}
        return orjson.dumps(about | own | {"outputs": outputs}, option=OPTIONS)


def _taken(feature: Feature) -> Sequence[str]:
    if feature.is_text:
        return ("BYTES",)
    if feature.type == "bool":
        return ("BOOL",)
    return (*_REALS, *_WHOLE) if feature.type == "float" else (*_WHOLE, *_REALS)


def _flat(data: list[Any]) -> list[Any]:
    """Return the values of a tensor of the shape [rows, 1] that is written row by row; others as they are."""
    if data and all(type(row) is list and len(row) == 1 for row in data):
        return [row[0] for row in data]
    return data
