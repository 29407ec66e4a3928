"""Who speaks: a role and a name, written into certificates as one URI.

``spiffe://trafficd/<role>/<name>``, the only URI of the trust domain ``trafficd`` among a certificate's subject
alternative names (RFC 5280 section 4.2.1.6; the form is that of SPIFFE IDs, SPIFFE-ID section 2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "spiffe://trafficd/"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
"""What node, scheduler and person may be called in a certificate; host names are among it."""


class Role(StrEnum):
    AGENT = "agent"
    SCHEDULER = "scheduler"
    VIEWER = "viewer"
    OPERATOR = "operator"
    CONTROLLER = "controller"
    """Only ever the server's side of a connection."""


class IdentityError(ValueError):
    """One sentence: why a certificate or a name says of nobody who it is."""


@dataclass(frozen=True, slots=True)
class Identity:
    """``name`` is the node's for an agent, and anybody's choice for the others."""

    role: Role
    name: str

    def __str__(self) -> str:
        return f"{self.role} {self.name}"

    @property
    def uri(self) -> str:
        return f"{PREFIX}{self.role}/{self.name}"


ROLES = ", ".join(Role)


def identity(role: str, name: str) -> Identity:
    """Raises IdentityError for a role or a name that no certificate can carry."""
    if role not in set(Role):
        raise IdentityError(f"{role!r} is no role: use one of {ROLES}")
    if not NAME.fullmatch(name):
        raise IdentityError(
            f"{name!r} cannot be written into a certificate: use letters, digits, dots, dashes and underscores"
        )
    return Identity(Role(role), name)


def from_uris(uris: Iterable[str]) -> Identity:
    """The one identity among a certificate's names. Raises IdentityError."""
    ours = [u for u in uris if u.startswith(PREFIX)]
    if len(ours) != 1:
        found = f"{len(ours)} names" if ours else "no name"
        raise IdentityError(
            f"the certificate has {found} that begin with {PREFIX}, and one is needed: issue it with trafficd certs issue"
        )
    role, _, name = ours[0].removeprefix(PREFIX).partition("/")
    try:
        return identity(role, name)
    except IdentityError as e:
        raise IdentityError(f"the certificate names {ours[0]}: {e}") from e
