"""Whom failed logins are counted for: the address that a call comes from."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from aiohttp import web


def address_of(request: web.Request, proxies: int) -> str:
    """The peer, or what the outermost of the trusted proxies saw."""
    seen = _parts(request, "X-Forwarded-For")
    if proxies and len(seen) >= proxies and seen[-proxies]:
        return counted(seen[-proxies])
    return counted(request.remote or "unknown")


def is_secure(request: web.Request, proxies: int) -> bool:
    """Did the caller come over TLS, to the service or to the proxy before it?"""
    if proxies:
        return _parts(request, "X-Forwarded-Proto")[-1:] == ["https"]
    return request.secure


def counted(text: str) -> str:
    """An address without its port; of IPv6 the network of 64 bits, since whoever has one has all of it."""
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0].partition("/")[0])
    except ValueError:
        return text[:100]
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ip_network((address, 64), strict=False))
    return str(address)


def _parts(request: web.Request, name: str) -> list[str]:
    """Values of a header, which proxies may extend or repeat, in order."""
    return [part.strip() for part in ",".join(request.headers.getall(name, [])).split(",")]
