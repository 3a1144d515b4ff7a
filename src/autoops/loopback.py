"""NO_PROXY for the services of this machine, so that requests to them take no HTTP proxy.

requests (and with it MLflow's client), httpx and urllib all read proxies from the environment, and use them for
127.0.0.1 as well unless NO_PROXY names it.
"""

from collections.abc import Iterable, MutableMapping
from ipaddress import ip_address
from urllib.parse import urlsplit

_NAMES = ("localhost", "127.0.0.1", "::1")


def spare(environment: MutableMapping[str, str], urls: Iterable[str] = ()) -> None:
    """Add this machine's own addresses, those among `urls` too, to NO_PROXY if the environment sets a proxy."""
    if not any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in environment):
        return
    named = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    listed = [host.strip() for host in named.split(",") if host.strip()]
    if "*" in listed:
        return
    hosts = dict.fromkeys([*listed, *_NAMES, *filter(_is_own, map(_host, urls))])
    # Both spellings: if both are set, urllib and requests read the lower-case one.
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
    # A service that listens on 0.0.0.0 or :: is asked at that address.
    return address.is_loopback or address.is_unspecified
