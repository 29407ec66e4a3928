"""The controller's certificate: loaded anew when its files change, and its end announced in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc

from trafficd.api import tls
from trafficd.app.files import identity
from trafficd.certs.files import CertsError
from trafficd.certs.inspect import inspect
from trafficd.config import ControllerConfig

log = logging.getLogger("trafficd.tls")
SOON = timedelta(days=7)
"""A certificate with less than this left, and less than a third of its life, is named every hour."""


class Certificates:
    """Files of one listening address. gRPC asks before every handshake whether there are new ones."""

    def __init__(self, directory: Path) -> None:
        """Raises TlsError when the files cannot be used."""
        self._directory = directory
        self._stamps = self._look()
        self._material = tls.read(directory)

    def credentials(self, *, known_only: bool = True) -> grpc.ServerCredentials:
        """``known_only``: callers must show a certificate that the authorities signed."""
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._material),
            self._fetch,  # type: ignore[arg-type]  # None is "no change", says its documentation
            require_client_authentication=known_only,
        )

    def _look(self) -> tuple[object, ...]:
        return tuple(identity(self._directory / n) for n in (tls.AUTHORITIES, tls.CERTIFICATE, tls.KEY))

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """The new configuration, None when nothing changed. Runs on a thread of gRPC's."""
        stamps = self._look()
        if stamps == self._stamps:
            return None
        self._stamps = stamps
        try:
            material = tls.read(self._directory)
        except tls.TlsError as e:
            log.warning("%s; the certificate read before goes on being used", e)
            return None
        if material == self._material:
            return None
        self._material = material
        log.info("%s: new certificate or authorities, used from now on", self._directory)
        return _configuration(material)


def _configuration(material: tls.Material) -> grpc.ServerCertificateConfiguration:
    pairs = [(material.key, material.certificate)]
    return grpc.ssl_server_certificate_configuration(pairs, material.authorities)


def reminders(config: ControllerConfig, now: datetime) -> Iterator[str]:
    """What an operator should hear every hour; nothing when all is well."""
    exposed = ", ".join(str(at) for at in config.listen if not at.local)
    if config.tls is None and exposed:
        yield (
            f"plain text on {exposed}: whoever reaches it may program lanes; serve TLS with --tls-dir, "
            "or listen on loopback"
        )
    if config.tls is not None:
        yield from _ending(config.tls / tls.CERTIFICATE, now)


def _ending(path: Path, now: datetime) -> Iterator[str]:
    try:
        seen = inspect(path.read_bytes(), str(path))
    except (OSError, CertsError) as e:
        yield f"{path} cannot be looked at: {e}"
        return
    life, left = seen.not_after - seen.not_before, seen.not_after - now
    if now < seen.not_before or left < min(SOON, life / 3):
        yield f"{path} is {seen.left(now)}: put a new one there, no restart is needed"


def endings(config: ControllerConfig) -> Iterator[tuple[str, float]]:
    """(file, when its first certificate ends, seconds since the Unix epoch) of the own one and the authority's."""
    own = [] if config.tls is None else [config.tls / tls.CERTIFICATE]
    for path in [*own, *([] if config.ca is None else [config.ca / tls.AUTHORITIES])]:
        try:
            yield str(path), inspect(path.read_bytes(), str(path)).not_after.timestamp()
        except (OSError, CertsError):
            continue  # the reminder names it


async def remind(config: ControllerConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
    """At once and every hour, until cancelled."""
    while True:
        for reminder in reminders(config, clock()):
            log.warning("%s", reminder)
        await asyncio.sleep(config.remind_s)
