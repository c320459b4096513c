"""The address of a vendor's API in the settings of an adapter."""

from __future__ import annotations

from ipaddress import ip_address

from yarl import URL


def check_base_url(text: str, *, insecure_http: bool, shows: str) -> None:
    """Raises `ValueError` with what to do. `shows` names what plain HTTP would show to the network."""
    try:
        url = URL(text)
        _ = url.port
    except ValueError:
        raise ValueError("base_url is not a URL") from None
    if url.scheme not in ("https", "http") or not url.host:
        raise ValueError("base_url must start with https:// and name a host")
    if url.user or url.password:
        raise ValueError("base_url must not hold credentials: they have keys of their own")
    if url.query_string or url.fragment:
        raise ValueError("base_url must not hold a query or fragment")
    if url.scheme == "http" and not (insecure_http or is_loopback(url.host)):
        raise ValueError(f"base_url with http:// would show {shows} to the network; use https://")


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
