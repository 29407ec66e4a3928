"""The authority: one key, one certificate of its own, and what it signs (X.509 v3, RFC 5280; ECDSA on P-256).

DIR/ca.key   its key, 0600
DIR/ca.crt   its certificate first; after a rotation also those before it, so that what they signed stays valid
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trafficd.certs.files import CertsError, make_directory, read, write, write_key
from trafficd.core.identity import Identity, Role

CA_CERTIFICATE, CA_KEY = "ca.crt", "ca.key"
AUTHORITY_LIFETIME = timedelta(days=5 * 365)
LIFETIMES: Mapping[Role, timedelta] = {
    Role.AGENT: timedelta(hours=24),  # agents renew by themselves; a lost node is locked out by the next day
    Role.SCHEDULER: timedelta(days=30),
    Role.VIEWER: timedelta(days=30),
    Role.OPERATOR: timedelta(days=7),  # may do everything
    Role.CONTROLLER: timedelta(days=90),
}
BACKDATED = timedelta(minutes=5)
"""Certificates begin this long ago, for clocks that differ a little."""
LEAST_RSA_BITS = 2048

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Order:
    """What to certify. ``hosts``: DNS names and IP addresses a controller is reached by."""

    identity: Identity
    lifetime: timedelta
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Issued:
    """PEM texts: the certificate, the authorities to trust, and its key where it was made here."""

    certificate: bytes
    authorities: bytes
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    bundle: bytes
    """Every certificate to trust, PEM; its own first."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over its own certificate's DER form, hex."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def sign(self, order: Order, key: PublicKey, now: datetime) -> Issued:
        """A certificate for somebody's key; never longer than the authority's own. Raises CertsError."""
        ends = min(now + order.lifetime, self.certificate.not_valid_after_utc)
        if ends <= now:
            raise CertsError(
                f"the authority's own certificate expired at {self.certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: "
                "make a new one with trafficd certs init --rotate"
            )
        builder = _builder(_name(str(order.identity)), self.certificate.subject, key, (now - BACKDATED, ends))
        for extension, critical in _extensions(order):
            builder = builder.add_extension(extension, critical=critical)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        signed = builder.add_extension(issuer, critical=False).sign(self.key, hashes.SHA256())
        return Issued(_pem(signed), self.bundle)

    def issue(self, order: Order, now: datetime) -> Issued:
        """A new key and its certificate. Raises CertsError."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self.sign(order, key.public_key(), now)
        return Issued(signed.certificate, signed.authorities, key_pem(key))


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain)


def create(directory: Path, now: datetime, *, rotate: bool = False) -> Authority:
    """Make an authority. ``rotate`` makes a new one over an old one, whose certificates stay trusted. Raises CertsError."""
    make_directory(directory)
    there = (directory / CA_KEY).exists() or (directory / CA_CERTIFICATE).exists()
    if there and not rotate:
        raise CertsError(
            f"{directory} already holds an authority: rotate it with --rotate, or choose another directory"
        )
    before = _still_valid(read(directory / CA_CERTIFICATE), now) if there else b""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"trafficd authority {now:%Y-%m-%d %H:%M:%S}")
    builder = _builder(name, name, key.public_key(), (now - BACKDATED, now + AUTHORITY_LIFETIME))
    for extension, critical in _authority_extensions(key.public_key()):
        builder = builder.add_extension(extension, critical=critical)
    certificate = builder.sign(key, hashes.SHA256())
    made = Authority(certificate, key, _pem(certificate) + before)
    write_key(directory / CA_KEY, key_pem(key))
    write(directory / CA_CERTIFICATE, made.bundle)
    return made


def load(directory: Path) -> Authority:
    """Raises CertsError."""
    bundle, key_text = read(directory / CA_CERTIFICATE), read(directory / CA_KEY)
    try:
        certificate = x509.load_pem_x509_certificates(bundle)[0]
        key = serialization.load_pem_private_key(key_text, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise CertsError(
            f"{directory} holds no readable authority ({e}): restore {CA_CERTIFICATE} and {CA_KEY}"
        ) from e
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CertsError(
            f"{directory / CA_KEY} is not the key of the first certificate in {CA_CERTIFICATE}: restore the pair"
        )
    return Authority(certificate, key, bundle)


def requested_key(request: bytes) -> PublicKey:
    """The key of a signing request (PKCS #10, RFC 2986, DER), proven to be the asker's. Raises CertsError."""
    try:
        csr = x509.load_der_x509_csr(request)
        proven, key = csr.is_signature_valid, csr.public_key()
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as e:
        raise CertsError(f"the signing request cannot be read: {e}") from e
    if not proven:
        raise CertsError("the signing request is not signed by its own key: make a new one")
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS:
        return key
    raise CertsError(
        f"the signing request's key must be an elliptic-curve key, or RSA of at least {LEAST_RSA_BITS} bits"
    )


def _still_valid(bundle: bytes, now: datetime) -> bytes:
    try:
        found = x509.load_pem_x509_certificates(bundle)
    except ValueError as e:
        raise CertsError(
            f"the old {CA_CERTIFICATE} cannot be read ({e}): move it away, then run init without --rotate"
        ) from e
    return b"".join(_pem(c) for c in found if c.not_valid_after_utc > now)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, valid: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
    )


def _authority_extensions(key: PublicKey) -> Iterator[tuple[x509.ExtensionType, bool]]:
    yield x509.BasicConstraints(ca=True, path_length=0), True
    yield _usage(signs_certificates=True), True
    yield x509.SubjectKeyIdentifier.from_public_key(key), False


def _extensions(order: Order) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """A controller's certificate serves and never asks; everybody else's asks and never serves."""
    serves = order.identity.role is Role.CONTROLLER
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if serves else ExtendedKeyUsageOID.CLIENT_AUTH
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(order.identity.uri)]
    names += [_host(h) for h in order.hosts]
    yield x509.BasicConstraints(ca=False, path_length=None), True
    yield _usage(signs_certificates=False), True
    yield x509.ExtendedKeyUsage([purpose]), False
    yield x509.SubjectAlternativeName(names), False


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as e:
        raise CertsError(f"{host!r} is neither an IP address nor a DNS name") from e


def _name(text: str) -> x509.Name:
    # X.520 gives a common name at most 64 characters; who it is stands in the alternative names anyway.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
