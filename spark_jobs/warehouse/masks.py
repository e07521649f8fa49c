"""Masks: what a source hands out in place of a column's values, so that the clear ones never leave it.

Pure, standard library only. :func:`masked_text` is the definition; each engine says the same in its own SQL
(``dialects.mask_sql``), and every job holds the two against each other before it reads a row.

The key of ``hmac`` is the password of an Airflow connection. It reaches the driver by its environment and the source
by a property of the JDBC connection: no statement, spec, record or log has it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from warehouse.mask_failures import KeyChanged, KeyMissing

MaskName = Literal["hash", "hmac", "truncate", "redact"]

MASK_FORMS = ("hash", "hmac(<connection>)", "truncate(<characters>)", "redact")
"""As people write them."""
REDACTED = "***"
SECRETS_VARIABLE = "WAREHOUSE_MASK_SECRETS"
"""Environment variable of the driver: a JSON object of connection → key. Airflow prints no variable called secret."""
MIN_SECRET_CHARACTERS = 16
"""Fewer could be found by trying, since everyone who reads a table sees values of the function."""

MASK_PATTERN = r"hash|redact|truncate\([1-9][0-9]{0,3}\)|hmac\([A-Za-z0-9_.-]{1,200}\)"
_WRITTEN = re.compile(r"([a-z]+)(?:\((.+)\))?")
_BLOCK_BYTES = 64
"""Of SHA-256, to which HMAC fills its key (RFC 2104)."""


@dataclass(frozen=True)
class Mask:
    """One mask; ``characters`` for ``truncate`` only, ``connection`` (whose password is the key) for ``hmac`` only."""

    name: MaskName
    characters: int = 0
    connection: str = ""

    def __str__(self) -> str:
        match self.name:
            case "truncate":
                return f"truncate({self.characters})"
            case "hmac":
                return f"hmac({self.connection})"
            case "hash" | "redact":
                return self.name


def parse_mask(text: str) -> Mask:
    """The mask written as :meth:`Mask.__str__` writes it.

    :raises ValueError: there is no such mask.
    """
    if re.fullmatch(MASK_PATTERN, text) is not None and (written := _WRITTEN.fullmatch(text)) is not None:
        for name in get_args(MaskName):
            if name == written[1]:
                return Mask(
                    name,
                    characters=int(written[2]) if name == "truncate" else 0,
                    connection=written[2] if name == "hmac" else "",
                )
    raise ValueError(f"{text!r} is none of {', '.join(MASK_FORMS)}")


@dataclass(frozen=True, repr=False)
class MaskKey:
    """The key of ``hmac(<connection>)``. Nothing shows it: the representation has the connection only."""

    connection: str
    secret: str

    def __repr__(self) -> str:
        return f"MaskKey({self.connection!r})"

    @property
    def setting(self) -> str:
        """Name under which a session of the source knows the key; the same in every run, and safe in any SQL."""
        return setting_of(self.connection)

    @property
    def inner(self) -> bytes:
        """The first block of HMAC's inner hash."""
        return self._block(0x36)

    @property
    def outer(self) -> bytes:
        """The first block of HMAC's outer hash."""
        return self._block(0x5C)

    @property
    def check(self) -> str:
        """Tells one key from another and nothing more: 32 bits of a hash under the key."""
        return hmac.new(self.secret.encode(), b"logical warehouse key check", hashlib.sha256).hexdigest()[:8]

    def _block(self, pad: int) -> bytes:
        key = self.secret.encode()
        if len(key) > _BLOCK_BYTES:
            key = hashlib.sha256(key).digest()
        return bytes(byte ^ pad for byte in key.ljust(_BLOCK_BYTES, b"\0"))


def setting_of(connection: str) -> str:
    """As :attr:`MaskKey.setting`."""
    return f"mask_{hashlib.sha256(connection.encode()).hexdigest()[:16]}"


def masked_text(mask: Mask, text: str, keys: Mapping[str, MaskKey]) -> str:
    """What a mask makes of a value's canonical text (docs/sensitive-columns.md)."""
    match mask.name:
        case "hash":
            return hashlib.sha256(text.encode()).hexdigest()
        case "hmac":
            return hmac.new(keys[mask.connection].secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        case "truncate":
            return text[: mask.characters]
        case "redact":
            return REDACTED


def connections_of(masks: Collection[str]) -> tuple[str, ...]:
    """The connections whose passwords are keys of these masks, each once."""
    return tuple(dict.fromkeys(mask.connection for mask in map(parse_mask, masks) if mask.connection))


def secrets_environment(secrets: Mapping[str, str]) -> dict[str, str]:
    """What the driver's environment needs to hand :func:`keys_from_environment` these keys; empty without any."""
    return {SECRETS_VARIABLE: json.dumps(dict(secrets), ensure_ascii=False)} if secrets else {}


def keys_from_environment(checks: Mapping[str, str]) -> dict[str, MaskKey]:
    """Connection → key, of the driver's environment. ``checks``: connection → :attr:`MaskKey.check` as it was frozen.

    :raises KeyMissing: the environment does not have one of them.
    :raises KeyChanged: one was changed since the job was asked for.
    """
    secrets = json.loads(os.environ.get(SECRETS_VARIABLE, "{}"))
    keys = {}
    for connection, check in checks.items():
        if connection not in secrets:
            raise KeyMissing(connection)
        key = MaskKey(connection, secrets[connection])
        if key.check != check:
            raise KeyChanged(connection)
        keys[connection] = key
    return keys
