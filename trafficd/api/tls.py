"""Certificate files as every end of the contract keeps them: a directory laid out as a Kubernetes TLS secret.

DIR/ca.crt    the authorities to trust, PEM
DIR/tls.crt   the own certificate, PEM
DIR/tls.key   its key, PEM
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

AUTHORITIES, CERTIFICATE, KEY = "ca.crt", "tls.crt", "tls.key"


class TlsError(Exception):
    """One sentence: which file is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Material:
    """The three files, PEM."""

    authorities: bytes
    certificate: bytes
    key: bytes


def read(directory: Path) -> Material:
    """The three files, fitting each other. Raises TlsError."""
    texts = tuple(read_file(directory / name) for name in (AUTHORITIES, CERTIFICATE, KEY))
    check_authorities(texts[0], directory / AUTHORITIES)
    try:
        # An encrypted key would ask for its password at the terminal; an empty one is an answer too.
        _context().load_cert_chain(directory / CERTIFICATE, directory / KEY, password="")
    except (ssl.SSLError, OSError, ValueError) as e:
        raise TlsError(
            f"{directory / CERTIFICATE} and {KEY} are no certificate and its unencrypted key ({_words(e)}): "
            "write both anew"
        ) from e
    return Material(*texts)


def read_file(path: Path) -> bytes:
    """Raises TlsError."""
    try:
        return path.read_bytes()
    except OSError as e:
        raise TlsError(f"cannot read {path}: {e.strerror}; check that it is there and its permissions") from e


def check_authorities(pem: bytes, source: Path) -> None:
    """Raises TlsError for a text without a certificate."""
    try:
        _context().load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as e:
        raise TlsError(f"{source} holds no certificates in PEM form: put the authority's ca.crt there") from e


def channel_credentials(material: Material) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(material.authorities, material.key, material.certificate)


def broken(details: str, directory: Path | str) -> str:
    """What gRPC's words for a connection that never came about mean for the holder of ``directory``; empty if nothing.

    The words are BoringSSL's for what this side checks. A peer that refuses our certificate just closes.
    """
    if not details.startswith("failed to connect"):
        return ""
    return next((said.format(dir=directory) for word, said in _SAID if word in details), "")


_SAID = (
    (
        "certificate has expired",
        "its certificate has expired by this machine's clock: renew it there, or set the clock here",
    ),
    (
        "certificate is not yet valid",
        "its certificate is not valid yet by this machine's clock: compare the clocks",
    ),
    (
        "unable to get local issuer",
        "its certificate is not signed by an authority in {dir}/ca.crt: bring that file up to date",
    ),
    (
        "certificate signature failure",
        "its certificate is not signed by an authority in {dir}/ca.crt: bring that file up to date",
    ),
    (
        "self signed",
        "its certificate is not signed by an authority in {dir}/ca.crt: bring that file up to date",
    ),
    (
        "Hostname Verification",
        "its certificate is for another host name: use a name or address that is in it",
    ),
    ("Peer name", "its certificate is for another host name: use a name or address that is in it"),
    ("WRONG_VERSION_NUMBER", "it speaks plain text and not TLS: start it with --tls-dir"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate was not accepted: compare {dir}/ca.crt with the authority that signed it",
    ),
    (
        "Socket closed",
        "it closed the connection before a word was said: most likely it does not accept {dir}/tls.crt",
    ),
    (
        "Connection reset",
        "it closed the connection before a word was said: most likely it does not accept {dir}/tls.crt",
    ),
)


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else str(error)
