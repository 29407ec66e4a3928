"""The node's certificate: how it stands by this node's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from trafficd.api import tls


@dataclass(frozen=True, slots=True)
class Validity:
    """Times are UTC."""

    not_before: datetime
    not_after: datetime

    def holds(self, now: datetime) -> bool:
        return self.not_before <= now < self.not_after


def validity(pem: bytes, source: Path) -> Validity:
    """Of the first certificate in a PEM text. Raises TlsError."""
    try:
        found = x509.load_pem_x509_certificates(pem)[0]
    except ValueError as e:
        raise tls.TlsError(f"{source} holds no certificate in PEM form: write it anew") from e
    return Validity(found.not_valid_before_utc, found.not_valid_after_utc)


def standing(directory: Path, now: datetime) -> str:
    """What to know of the certificate when the other side does not accept it: one clause."""
    path = directory / tls.CERTIFICATE
    try:
        v = validity(tls.read_file(path), path)
    except tls.TlsError as e:
        return str(e)
    clock = f"this node's clock says {_stamp(now)}"
    if now < v.not_before:
        return f"it is not valid before {_stamp(v.not_before)} and {clock}: set the clock"
    if now >= v.not_after:
        return f"it expired at {_stamp(v.not_after)} and {clock}: put a new one there"
    return (
        f"it is valid until {_stamp(v.not_after)} and {clock}: compare the controller's clock, "
        "and its ca.crt with the authority that signed it"
    )


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
