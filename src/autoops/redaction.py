"""Redaction of secrets in text.

All code that turns an error, a log line, a span or the output of a verb into text passes it through `redact`. It masks
what looks like a secret (credentials and tokens in a URL), and every value passed to `remember`: the secrets of all
settings, and of the environment variables that clients of databases, registries and proxies read.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, quote_plus, unquote

MASK = "***"

_SHORTEST = 8
"""Characters. A shorter value could be part of any word, and is masked only where `_PATTERNS` match."""

_SECRET_NAME = r"(?:sig|code|[\w.~%-]*(?:signature|token|key|secret|passw|pwd|credential|auth)[\w.~%-]*)"
_PATTERNS = (
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/?#\"'<>]*@", re.IGNORECASE), rf"\1{MASK}@"),
    (re.compile(rf"([?&]{_SECRET_NAME}=)[^\s&#\"'<>]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"\b((?:password|passwd|pwd)=)[^\s&#\"'<>;]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"\b(Bearer )[\w.~+/-]+=*"), rf"\1{MASK}"),
)
_VARIABLE = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|_KEY$|CONNECTION_STRING$|_HEADERS$", re.IGNORECASE)
_URL_VARIABLE = re.compile(r"_(PROXY|URL|URI|DSN|CONN|ENDPOINT)$", re.IGNORECASE)

_known: tuple[str, ...] = ()


def redact(text: str) -> str:
    """Return the text with every secret masked."""
    for secret in _known:
        text = text.replace(secret, MASK)
    for pattern, masked in _PATTERNS:
        text = pattern.sub(masked, text)
    return text


def public_url(url: str) -> str:
    """Return the URL without credentials, query and fragment, as a link to show to people."""
    scheme, separator, rest = url.partition("://")
    userinfo = _userinfo(rest) if separator else ""
    place = re.split(r"[?#]", rest.removeprefix(f"{userinfo}@"), maxsplit=1)[0]
    return redact(f"{scheme}{separator}{place}".rstrip("/"))


def remember(secrets: Iterable[str]) -> None:
    """Mask these values from now on in this process, as given and as URLs, JSON and Python encode them."""
    global _known
    fresh = {form for secret in secrets for form in _forms(secret) if len(form) >= _SHORTEST} - set(_known)
    if not fresh:
        return
    # The longest first, because a secret may contain another.
    _known = tuple(sorted({*_known, *fresh}, key=lambda secret: (-len(secret), secret)))
    if "airflow.sdk.log" in sys.modules:  # a task of Airflow, whose log has handlers of its own
        for secret in fresh:
            sys.modules["airflow.sdk.log"].mask_secret(secret)


def secrets_in_url(url: str) -> set[str]:
    """Return the secrets of a URL: its password, or its user name if it has no password, and tokens of its query."""
    _, separator, rest = url.partition("://")
    if not separator:
        return set()
    user, _, password = _userinfo(rest).partition(":")
    query = rest.partition("?")[2].partition("#")[0]
    tokens = {value for name, value in parse_qsl(query) if re.fullmatch(_SECRET_NAME, name, re.IGNORECASE)}
    return {found for found in (password or user, *tokens) if found}


def secrets_in(value: str) -> set[str]:
    """Return the secrets of a setting that is secret as a whole.

    These are its words and, of words that are URLs, the parts that could be tokens: neither a host with a domain nor a
    plain word such as `services`.
    """
    found = {value.strip(), *value.split()}
    for word in value.split():
        scheme, separator, rest = word.partition("://")
        if separator and scheme:
            # The last @, because a password may contain one.
            userinfo, _, place = rest.rpartition("@") if "@" in rest else ("", "", rest)
            host, *path = re.split(r"[/?&=#]+", place)
            host_is_a_token = "." not in host and not host.startswith(("[", "localhost"))
            user, _, password = userinfo.partition(":")
            parts = [user, *path, *([host] if host_is_a_token else [])]
            found |= {password, *(part for part in parts if not part.isalpha() or not part.islower())}
    return {one for one in found if one}


def secrets_of_environment(environment: Mapping[str, str]) -> set[str]:
    """Return the secrets in these environment variables."""
    found: set[str] = set()
    for name, value in environment.items():
        if _VARIABLE.search(name):
            found |= {value.strip()}
        elif _URL_VARIABLE.search(name):
            found |= secrets_in_url(value)
    return found - {""}


def _userinfo(rest: str) -> str:
    """Return the userinfo in what follows `://`, empty without one.

    A password may contain a slash, which ends the host too early. Then the text after the host's colon is no port
    number, and the userinfo reaches to the last `@`.
    """
    netloc = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in netloc:
        return netloc.rpartition("@")[0]
    port = netloc.partition(":")[2]
    return rest.rpartition("@")[0] if port and not port.isdigit() and "@" in rest else ""


def _forms(secret: str) -> set[str]:
    plain = {secret, unquote(secret)}
    coded = {code(one) for one in plain for code in (quote, quote_plus, lambda text: quote(text, safe=""))}
    return plain | coded | {form for one in plain for form in (json.dumps(one)[1:-1], repr(one)[1:-1])}
