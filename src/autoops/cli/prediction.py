"""The verb for many rows at once: predict."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoops import console
from autoops.cli.options import Json
from autoops.errors import InputError
from autoops.settings import Settings, load_settings

if TYPE_CHECKING:
    from autoops.serving.offline.parquet import LocalModel, Model

verbs = typer.Typer()

_PIECE_ROWS = 10_000


@verbs.command()
def predict(
    source: Annotated[Path, typer.Option("--input", help="Parquet: the contract's columns, or a raw period.")],
    target: Annotated[Path, typer.Option("--output", help="The same rows with prediction and model_version.")],
    url: Annotated[
        str | None, typer.Option(help="Ask the API there, which logs them, instead of the champion here.")
    ] = None,
    json: Json = False,
) -> None:
    """Predict the rows of a parquet file of any size. Without --url nothing is logged."""
    import httpx

    from autoops.serving.offline.parquet import FileScorer
    from autoops.serving.offline.remote import RemoteModel

    _check(url)
    settings = load_settings()
    rows = min(_PIECE_ROWS, settings.serving.max_batch)
    with ExitStack() as open_until_the_end:
        model: Model
        if url is None:
            model = _champion(settings)
        else:
            model = RemoteModel(
                open_until_the_end.enter_context(httpx.Client(base_url=url, headers=settings.api_headers, timeout=60)),
                settings.contract,
            )
        with console.progress(source.name) as report:
            done = FileScorer(settings.contract).score(source, target, model, rows, report)
    versions = ", ".join(str(number) for number in done.model_versions) or "none"
    value = {"rows": done.rows, "model_versions": done.model_versions, "output": str(target)}
    said = f"{done.rows} {settings.contract.plural} predicted by version {versions}: {target}"
    if done.skipped:
        value |= {"outside_contract": done.skipped}
        counts = ", ".join(f"{name} {count}" for name, count in done.skipped.items())
        said += f"\nrows outside the contract have no prediction; by column: {counts}"
    console.show(value, json, said)


def _check(url: str | None) -> None:
    import httpx

    try:
        httpx.URL(url or "")
    except httpx.InvalidURL as error:
        raise InputError(f"--url {url}: {error}") from None


def _champion(settings: Settings) -> "LocalModel":
    """Return the champion, or the version that this machine served last if the registry does not answer.

    Raises:
        RegistryUnavailable: the registry does not answer, and this machine has served no version.
    """
    from autoops.errors import RegistryUnavailable
    from autoops.mlflow_registry import MlflowRegistry
    from autoops.models.registry import champion_of
    from autoops.models.scoring import ScoringThreads, load_version
    from autoops.serving.model.last_served import LastServed
    from autoops.serving.offline.parquet import LocalModel

    registry = MlflowRegistry(settings.model.name, settings.mlflow)
    last_served = LastServed(settings.storage.home / "models", settings.model.name)
    try:
        version = champion_of(registry)
    except RegistryUnavailable as error:
        recalled = last_served.recall()
        if recalled is None:
            raise
        version = recalled
        note = f"{error}: predicting with version {version.number}, which this machine served last"
        console.note(note)
    scorer = load_version(registry, version, last_served.cache)
    return LocalModel(scorer, version.number, ScoringThreads(settings.serving.batch_threads))
