"""Whom to tell, from the settings: secrets, which nothing prints."""

from collections import Counter
from dataclasses import dataclass

from pydantic import SecretStr

from autoops.errors import SettingsError
from autoops.settings import Alerts


@dataclass(frozen=True)
class Address:
    """`name` is all that anybody is shown of it: its service, numbered where there are several of one kind. It stays
    when a token is replaced."""

    name: str
    url: SecretStr


def addresses(settings: Alerts) -> list[Address]:
    """In their order. Raises SettingsError, which tells their place and not their text."""
    urls = [*_of_variable(settings), *_of_file(settings)]
    found: list[Address] = []
    seen: Counter[str] = Counter()
    for place, url in enumerate(urls, start=1):
        service, separator, _rest = url.partition("://")
        if not separator or not service.isalnum():
            raise SettingsError(f"alerts.urls: number {place} is no URL such as slack://...")
        seen[service] += 1
        name = service if seen[service] == 1 else f"{service} {seen[service]}"
        found.append(Address(name.lower(), SecretStr(url)))
    return found


def _of_variable(settings: Alerts) -> list[str]:
    return settings.urls.get_secret_value().split() if settings.urls else []


def _of_file(settings: Alerts) -> list[str]:
    if settings.urls_file is None:
        return []
    try:
        return settings.urls_file.read_text().split()
    except (OSError, ValueError) as error:
        raise SettingsError(f"alerts.urls_file: cannot read {settings.urls_file}: {type(error).__name__}") from None
