"""The authority, and ``trafficd certs``: what is in a certificate, who may read keys, when things end."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from certlab import HOUR, CertLab, now
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from trafficd.certs import authority
from trafficd.certs.files import CertsError
from trafficd.cli import main
from trafficd.core.identity import IdentityError, from_uris, identity


def certs(*words: object) -> int:
    return main(["certs", *map(str, words)])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_authority_and_a_certificate_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ca, out = tmp_path / "ca", tmp_path / "ca" / "agent-p1"
    assert certs("init", ca) == 0
    assert certs("issue", "--role", "agent", "--name", "p1", ca) == 0
    found = x509.load_pem_x509_certificate((out / "tls.crt").read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(names) == [x509.UniformResourceIdentifier("spiffe://trafficd/agent/p1")]
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert found.not_valid_after_utc - found.not_valid_before_utc == timedelta(hours=24, minutes=5)
    found.verify_directly_issued_by(x509.load_pem_x509_certificate((ca / "ca.crt").read_bytes()))
    assert [mode(p) for p in (ca, ca / "ca.key", out, out / "tls.key")] == [0o700, 0o600, 0o700, 0o600]
    assert certs("show", out) == 0
    assert "agent p1" in capsys.readouterr().out


def test_what_the_command_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ca = tmp_path / "ca"
    assert certs("init", ca) == 0
    assert certs("init", ca) == 4
    assert certs("issue", "--role", "controller", "--name", "c", ca) == 2
    assert certs("issue", "--role", "viewer", "--name", "v", "--host", "h", ca) == 2
    assert certs("issue", "--role", "agent", "--name", "no/slash", ca) == 4
    assert certs("issue", "--role", "agent", "--name", "p1", tmp_path / "none") == 4
    (ca / "ca.key").write_text("x")
    assert certs("issue", "--role", "agent", "--name", "p1", ca) == 4
    assert certs("show", ca / "ca.key") == 4
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 7
    assert all(line.startswith("trafficd: ") for line in lines)
    with pytest.raises(SystemExit):
        certs("issue", "--role", "agent", "--name", "p1", "--ttl", "soon", ca)


def test_an_expired_certificate_is_shown_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = CertLab(tmp_path)
    assert certs("show", lab.issue("viewer/v", -3 * HOUR)) == 1
    assert "expired at" in capsys.readouterr().out


def test_nothing_outlives_its_authority(tmp_path: Path) -> None:
    lab = CertLab(tmp_path)
    order = authority.Order(identity("viewer", "v"), timedelta(days=10_000))
    issued = lab.authority.issue(order, now())
    found = x509.load_pem_x509_certificate(issued.certificate)
    assert found.not_valid_after_utc == lab.authority.certificate.not_valid_after_utc
    with pytest.raises(CertsError, match="certs init --rotate"):
        lab.authority.issue(order, now() + timedelta(days=2000))


def test_a_rotation_keeps_the_old_authority_until_it_expires(tmp_path: Path) -> None:
    first = authority.create(tmp_path, now() - timedelta(days=1900))
    second = authority.create(tmp_path, now(), rotate=True)
    third = authority.create(tmp_path, now(), rotate=True)
    assert first.fingerprint not in {second.fingerprint, third.fingerprint}
    trusted = [c.fingerprint(hashes.SHA256()).hex() for c in x509.load_pem_x509_certificates(third.bundle)]
    assert trusted == [third.fingerprint, second.fingerprint]
    assert authority.load(tmp_path).fingerprint == third.fingerprint


def request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.DER)


def test_signing_requests(tmp_path: Path) -> None:
    good = request(ec.generate_private_key(ec.SECP256R1()))
    assert isinstance(authority.requested_key(good), ec.EllipticCurvePublicKey)
    tampered = good[:-4] + bytes(b ^ 1 for b in good[-4:])
    for bad in (b"", b"x" * 100, tampered, request(rsa.generate_private_key(65537, 1024))):
        with pytest.raises(CertsError, match="signing request"):
            authority.requested_key(bad)


def test_identities() -> None:
    assert str(from_uris(["https://x/y", "spiffe://trafficd/agent/gpu-17.rack.4"])) == "agent gpu-17.rack.4"
    for uris in (
        [],
        ["spiffe://other/agent/p1"],
        ["spiffe://trafficd/agent"],
        ["spiffe://trafficd/agent/"],
        ["spiffe://trafficd/agent/a/b"],
        ["spiffe://trafficd/agent/p1", "spiffe://trafficd/operator/o"],
        ["spiffe://trafficd/root/p1"],
    ):
        with pytest.raises(IdentityError):
            from_uris(uris)
