"""The node's key and certificate: made, asked for, written, and how they stand by this node's clock."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

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


def ends(directory: Path) -> float | None:
    """When the certificate there ends, seconds since the Unix epoch; None where there is none to read."""
    path = directory / tls.CERTIFICATE
    try:
        return validity(tls.read_file(path), path).not_after.timestamp()
    except tls.TlsError:
        return None


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


@dataclass(frozen=True, slots=True)
class Key:
    """A private key, and its PEM form (PKCS #8, RFC 5208)."""

    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    pem: bytes


def new_key() -> Key:
    """ECDSA on P-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return Key(key, key.private_bytes(serialization.Encoding.PEM, form, plain))


def read_key(path: Path) -> Key:
    """Raises TlsError."""
    pem = tls.read_file(path)
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise tls.TlsError(f"{path} holds no key that can be used ({e}): enrol again") from e
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise tls.TlsError(f"{path} holds a key of another kind than elliptic-curve or RSA: enrol again")
    return Key(key, pem)


def signing_request(key: Key, node: str) -> bytes:
    """PKCS #10 (RFC 2986), DER; proves that the key is ours."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node[:64])])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key.private, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


def write(path: Path, data: bytes, mode: int) -> None:
    """Either the old file or the whole new one is there, never readable by more than ``mode``. Raises TlsError."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        temporary.replace(path)
    except OSError as e:
        raise tls.TlsError(f"cannot write {path}: {e.strerror}; free space or correct its permissions") from e


def move(path: Path, to: Path) -> None:
    """Raises TlsError."""
    try:
        path.replace(to)
    except OSError as e:
        raise tls.TlsError(f"cannot move {path} to {to}: {e.strerror}; correct the permissions there") from e
