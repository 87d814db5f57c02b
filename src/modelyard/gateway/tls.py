"""TLS at the gateway: one context for all connections, whose certificate is read again when its file has changed."""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

LOOK_SECONDS = 60.0
"""How often it is looked for a certificate that was renewed."""

_log = logging.getLogger("modelyard.gateway")


@dataclass(frozen=True, slots=True)
class TlsPlace:
    """Where the certificate with its chain and its key lie, and the port that is told to clients."""

    chain: Path
    key: Path
    port: int


class Tls:
    """Raises OSError (ssl.SSLError among them) where the files are no certificate and key of one another."""

    def __init__(self, place: TlsPlace) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.place = place
        self._seen = self._changed_at()
        self.context.load_cert_chain(place.chain, place.key)

    def look(self) -> None:
        """Takes a renewed certificate for the connections to come; a broken one leaves the last."""
        seen = self._changed_at()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.context.load_cert_chain(self.place.chain, self.place.key)
            _log.info("took the new certificate %s", self.place.chain)
        except OSError as error:
            _log.error("cannot use the new certificate %s: %s; the last one stays", self.place.chain, error)

    def _changed_at(self) -> tuple[float, float]:
        try:
            return self.place.chain.stat().st_mtime, self.place.key.stat().st_mtime
        except OSError:
            return 0.0, 0.0
