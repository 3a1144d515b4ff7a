"""What the workers of a server say of themselves, to each other and to clients."""

from pydantic import BaseModel


class Worker(BaseModel):
    """One process of the server; `answered` false: it did not say in time, so that nothing but its id is known."""

    pid: int
    answered: bool = True
    instance_id: str | None = None
    model_version: int | None = None
    last_error: str | None = None


class ReloadedWorker(Worker):
    outcome: str | None = None
