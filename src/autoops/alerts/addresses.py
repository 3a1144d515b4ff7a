"""Addresses of receivers, from the settings. They are secrets, which nothing prints."""

from collections import Counter
from dataclasses import dataclass

from pydantic import SecretStr

from autoops.errors import SettingsError
from autoops.settings import Alerts


@dataclass(frozen=True)
class Address:
    """An address of a receiver. Only its `name` is ever shown: the service, numbered if there are several of one kind.

    The name stays the same when a token is replaced.
    """

    name: str
    url: SecretStr


def addresses(settings: Alerts) -> list[Address]:
    """Return the addresses in the order of the settings.

    Raises:
        SettingsError: an address is no URL (the message has its position and not its text), or the file does not read.
    """
    urls = [*_of_variable(settings), *_of_file(settings)]
    found: list[Address] = []
    seen: Counter[str] = Counter()
    for place, url in enumerate(urls, start=1):
        scheme, separator, _rest = url.partition("://")
        # Before counting: `Slack://` and `slack://` would share a name, and only one get alerts.
        service = scheme.lower()
        if not separator or not service.isalnum():
            raise SettingsError(f"alerts.urls: number {place} is no URL such as slack://...")
        seen[service] += 1
        name = service if seen[service] == 1 else f"{service} {seen[service]}"
        found.append(Address(name, SecretStr(url)))
    return found


def _of_variable(settings: Alerts) -> list[str]:
    return settings.urls.get_secret_value().split() if settings.urls else []


def _of_file(settings: Alerts) -> list[str]:
    if settings.urls_file is None:
        return []
    try:
        return settings.urls_file.read_text().split()
    # Only the error's type: its text may quote the file, which contains secrets.
    except (OSError, ValueError) as error:
        raise SettingsError(f"alerts.urls_file: cannot read {settings.urls_file}: {type(error).__name__}") from None
