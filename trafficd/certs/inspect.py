"""What a certificate says: of whom, by whom, from when until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from trafficd.certs.files import CertsError
from trafficd.core.identity import IdentityError, from_uris


@dataclass(frozen=True, slots=True)
class Seen:
    """``who`` is a role and a name, or why there is none; times are UTC."""

    who: str
    issuer: str
    not_before: datetime
    not_after: datetime

    def left(self, now: datetime) -> str:
        """How it stands at ``now``, in words."""
        if now < self.not_before:
            return f"not valid before {stamp(self.not_before)}"
        if now >= self.not_after:
            return f"expired at {stamp(self.not_after)}"
        return f"valid until {stamp(self.not_after)}, {duration(self.not_after - now)} left"


def inspect(pem: bytes, source: str) -> Seen:
    """The first certificate of a PEM text. Raises CertsError, naming ``source``."""
    try:
        found = x509.load_pem_x509_certificates(pem)[0]
        who = _who(found)
    except ValueError as e:
        raise CertsError(f"{source} holds no certificate in PEM form: {e}") from e
    return Seen(who, found.issuer.rfc4514_string(), found.not_valid_before_utc, found.not_valid_after_utc)


def _who(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return certificate.subject.rfc4514_string()
    try:
        return str(from_uris(names.get_values_for_type(x509.UniformResourceIdentifier)))
    except IdentityError as e:
        return str(e)


def stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def duration(length: timedelta) -> str:
    """The two largest units, minutes rounded up: 3 d 4 h, 5 h 6 min, 7 min."""
    minutes = -int(-length.total_seconds() // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
