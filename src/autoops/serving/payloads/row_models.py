"""The models of requests and answers that a contract declares, built once when the API starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from autoops.serving.payloads.schemas import PredictionId, Request, RequestId
from autoops.serving.payloads.timestamps import TimestampReader
from autoops.usecase.contract import Bounds, Contract, Feature, Target, Value

CATEGORY = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A value of an open category: PostgreSQL keeps no NUL in JSON."""


@dataclass(frozen=True)
class RowModels:
    """The pydantic models of a use case; names and fields follow from the contract's nouns."""

    contract: Contract
    timestamps: TimestampReader
    row: type[BaseModel]
    row_columns: type[BaseModel]
    row_batch: type[BaseModel]
    column_batch: type[BaseModel]
    ground_truth: type[BaseModel]
    ground_truth_batch: type[BaseModel]
    prediction: type[BaseModel]
    prediction_batch: type[BaseModel]
    prediction_column_batch: type[BaseModel]

    @classmethod
    def of(cls, contract: Contract) -> "RowModels":
        """Build the models of a contract."""
        reader = TimestampReader(contract.event_time)
        name, plural = _class_name(contract.row), contract.plural
        row = _row(contract, reader, name)
        columns = _columns(contract, reader, name)
        rows: Any = Annotated[_list(row), Field(min_length=1, description="At most `serving.max_batch`")]
        truth = _ground_truth(contract)
        prediction, prediction_columns = _predictions(contract)
        version = Annotated[int, Field(description="Of all predictions that are not repeated")]
        batch = {"model_version": (version, ...)}
        return cls(
            contract,
            reader,
            row,
            columns,
            create_model(f"{name}Batch", __base__=Request, **_fields({plural.replace(" ", "_"): (rows, ...)})),
            create_model(f"{name}ColumnBatch", __base__=Request, **_fields({"columns": (columns, ...)})),
            truth,
            _ground_truth_batch(truth),
            prediction,
            create_model("PredictionBatch", **_fields(batch | {"predictions": (_list(prediction), ...)})),
            create_model("PredictionColumnBatch", **_fields(batch | {"columns": (prediction_columns, ...)})),
        )

    @property
    def rows_field(self) -> str:
        """Return the name of the field that holds the rows of a batch."""
        return self.contract.plural.replace(" ", "_")

    @property
    def required(self) -> list[str]:
        """Return the features that each row must have."""
        return [name for name, feature in self.contract.features.items() if not feature.nullable]


def _fields(of: Mapping[str, object]) -> Any:
    """Return the fields of a model by name; mypy knows no overload of `create_model` for them."""
    return dict(of)


def _list(kind: Any) -> Any:
    """Return the type of a list of values of a type that is only known when the API starts."""
    return list.__class_getitem__(kind)


def _class_name(noun: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in noun.split())


def _row(contract: Contract, reader: TimestampReader, name: str) -> type[BaseModel]:
    noun, time = contract.row, contract.event_time
    told = f"ISO 8601; without an offset {time.told_zone} time"
    fields: dict[str, object]
    if time.default == "now":
        fields = {time.column: (Annotated[reader.parsed | None, Field(description=f"{told}; now when left out")], None)}
    else:
        fields = {time.column: (Annotated[reader.parsed, Field(description=told)], ...)}
    for key, feature in contract.features.items():
        kind: Any = Annotated[_type(feature) | None if feature.nullable else _type(feature), _within(feature)]
        fields[key] = (kind, None if feature.nullable else ...)
    own = (
        "Your own id: ground truth may name it, a repeat gets the first answer again, and another "
        f"{noun} with it is refused"
    )
    fields["request_id"] = (Annotated[RequestId | None, Field(description=own)], None)
    return create_model(name, __base__=Request, __doc__=contract.api.row or f"One {noun}.", **_fields(fields))


def _columns(contract: Contract, reader: TimestampReader, name: str) -> type[BaseModel]:
    time = contract.event_time
    told = f"ISO 8601; without an offset {time.told_zone} time"
    fields: dict[str, object]
    if time.default == "now":
        kind: Any = Annotated[_list(reader.text | None) | None, Field(description=f"{told}; null: now")]
        fields = {time.column: (kind, None)}
    else:
        fields = {time.column: (Annotated[_list(reader.text), Field(description=told)], ...)}
    first = True
    for key, feature in contract.features.items():
        if feature.nullable:
            within = _within(feature, in_columns=True)
            fields[key] = (_list(Annotated[_type(feature) | None, within]) | None, None)
        else:
            values: Any = _list(Annotated[_type(feature), _within(feature)])
            # One column has the least length: all have the same.
            fields[key] = (Annotated[values, Field(min_length=1)] if first else values, ...)
            first = False
    own = f"Your own ids, as of single {contract.plural}"
    fields["request_id"] = (Annotated[list[RequestId | None] | None, Field(description=own)], None)
    doc = (
        f"{contract.plural.capitalize()} as one list for each field, all of one length and at most `serving.max_batch` "
        "long; which saves a good part\nof what reading them costs."
    )
    return create_model(f"{name}Columns", __base__=Request, __doc__=doc, **_fields(fields))


def _type(feature: Feature) -> Any:
    if feature.type == "category":
        if feature.values is not None:
            return _one_of(feature.values)
        return int if feature.is_whole else CATEGORY
    return {"float": float, "int": int, "bool": bool}[feature.type]


def _one_of(values: tuple[Value, ...]) -> Any:
    """Return the type of one of these strings or whole numbers. A Literal of numbers would take true for 1."""
    if isinstance(values[0], str):
        return Literal[values]
    known = frozenset(values)

    def check(value: int) -> int:
        if value not in known:
            raise PydanticCustomError("one_of", "expected one of {known}", {"known": ", ".join(map(str, values))})
        return value

    return Annotated[int, AfterValidator(check), WithJsonSchema({"type": "integer", "enum": [*values]})]


def _within(feature: Feature, in_columns: bool = False) -> Any:
    description = feature.description or feature.unit
    if description and in_columns:
        description = description.replace("left out", "null")
    whole = feature.type == "int" or feature.is_whole
    return _bounded(feature, description, int if whole else float)


def _bounded(bounds: Bounds, description: str | None, kind: type[float]) -> Any:
    def end(value: float | None) -> float | None:
        return None if value is None else kind(value)

    return Field(
        description=description,
        gt=end(bounds.above),
        ge=end(bounds.at_least),
        lt=end(bounds.below),
        le=end(bounds.at_most),
    )


def label_type(target: Target, task: str) -> Any:
    """Return the type of ground truth in requests."""
    if task == "binary":
        assert target.positive is not None
        return bool if isinstance(target.positive, bool) else _one_of((target.positive, target.other))
    return Annotated[float, _bounded(target.accepts, target.description, float)]


def _ground_truth(contract: Contract) -> type[BaseModel]:
    def names_one_prediction(label: Any) -> Any:
        if (label.prediction_id is None) == (label.request_id is None):
            raise PydanticCustomError("one_id", "expected exactly one of prediction_id and request_id")
        return label

    target = contract.target
    fields: dict[str, object] = {
        "prediction_id": (PredictionId | None, None),
        "request_id": (RequestId | None, None),
        target.column: (label_type(target, contract.task), ...),
    }
    told = f"What came of a {contract.row}. Exactly one of the two ids names its prediction."
    return create_model(
        "GroundTruth",
        __base__=Request,
        __doc__=contract.api.ground_truth or told,
        __validators__=_fields({"_names_one_prediction": model_validator(mode="after")(names_one_prediction)}),
        **_fields(fields),
    )


def _ground_truth_batch(truth: type[BaseModel]) -> type[BaseModel]:
    class CheckedOneByOne:
        """Documents an item as ground truth, and that anything passes: a malformed one must not refuse the others."""

        @classmethod
        def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
            label = handler(truth.__pydantic_core_schema__)
            return {"anyOf": [label, {"description": "Whatever else: refused by its position, and the others stored"}]}

    labels = Annotated[
        list[Annotated[Any, CheckedOneByOne]], Field(min_length=1, description="At most `serving.max_batch`")
    ]
    return create_model("GroundTruthBatch", __base__=Request, **_fields({"labels": (labels, ...)}))


def _predictions(contract: Contract) -> tuple[type[BaseModel], type[BaseModel]]:
    """Return the models of one prediction, and of predictions as columns."""
    texts = contract.api
    plain: dict[str, object] = {"prediction_id": str, **answer_types(contract), "model_version": int}
    plain |= {"event_at": datetime, texts.seen: bool, "repeated": bool}
    fields = plain | {
        texts.seen: Annotated[bool, Field(description=texts.seen_description)],
        "repeated": Annotated[bool, Field(description="True: the answer that this request_id got before")],
    }
    doc = f"A list for each field of a prediction, in the order of the {contract.plural}."
    return (
        create_model("Prediction", **_fields({name: (kind, ...) for name, kind in fields.items()})),
        create_model(
            "PredictionColumns", __doc__=doc, **_fields({name: (_list(kind), ...) for name, kind in plain.items()})
        ),
    )


def answer_types(contract: Contract) -> dict[str, object]:
    """Return the fields of an answer that hold the prediction, with their types."""
    if contract.task == "binary":
        return {"probability": float, contract.target.column: label_type(contract.target, contract.task)}
    return {contract.target.column: float}
