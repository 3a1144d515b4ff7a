"""All forms of a use case's requests and answers, built once when the API starts."""

from dataclasses import dataclass

from autoops.serving.payloads.batch_bodies import BodyReader
from autoops.serving.payloads.bodies import batch_bytes, row_bytes
from autoops.serving.payloads.inference import Tensors
from autoops.serving.payloads.label_bodies import LabelReader
from autoops.serving.payloads.responses import AnswerEncoder
from autoops.serving.payloads.row_models import RowModels
from autoops.usecase.contract import Contract


@dataclass(frozen=True)
class Formats:
    """Models, readers and encoder of one contract; `max_batch` is a number of rows, the other limits are bytes."""

    models: RowModels
    bodies: BodyReader
    labels: LabelReader
    answers: AnswerEncoder
    tensors: Tensors
    max_batch: int
    row_bytes: int
    batch_bytes: int

    @classmethod
    def of(cls, contract: Contract, max_batch: int) -> "Formats":
        """Build what a contract needs."""
        models = RowModels.of(contract)
        bodies, answers = BodyReader(models), AnswerEncoder(contract)
        fields = len(models.row.model_fields)
        return cls(
            models,
            bodies,
            LabelReader(models),
            answers,
            Tensors(models, bodies, answers),
            max_batch,
            row_bytes(fields),
            batch_bytes(max_batch, fields),
        )
