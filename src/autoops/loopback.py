"""Keeps an HTTP proxy away from the services of this machine.

requests (and with it MLflow's client), httpx and urllib all take proxies from the environment, and ask them for
127.0.0.1 as well unless NO_PROXY names it.
"""

from collections.abc import Iterable, MutableMapping
from ipaddress import ip_address
from urllib.parse import urlsplit

_NAMES = ("localhost", "127.0.0.1", "::1")


def spare(environment: MutableMapping[str, str], urls: Iterable[str] = ()) -> None:
    """Add this machine's own addresses, those of `urls` too, to NO_PROXY where a proxy is set."""
    if not any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in environment):
        return
    named = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    listed = [host.strip() for host in named.split(",") if host.strip()]
    if "*" in listed:
        return
    hosts = dict.fromkeys([*listed, *_NAMES, *filter(_is_own, map(_host, urls))])
    # Both spellings: of two, urllib and requests take the lower one.
    environment["NO_PROXY"] = environment["no_proxy"] = ",".join(hosts)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_own(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
