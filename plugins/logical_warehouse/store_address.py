"""Hosts in the URI of a store: of a highly available Alluxio it lists its masters, ``alluxio://a:19998,b:19998/path``."""

from __future__ import annotations

from urllib.parse import urlsplit


def hosts_of(uri: str) -> list[str]:
    """Names or addresses of the hosts in a URI, in its order; an IPv6 address without its brackets."""
    return [urlsplit(f"//{authority}").hostname or "" for authority in urlsplit(uri).netloc.split(",")]
