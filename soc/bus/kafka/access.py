"""How to reach a Kafka cluster: addresses, protocol, user and CA in; settings of kafka-python's clients out."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from soc.event import TransportError

#: A client that cannot reach any broker gives up after so long, in seconds; the caller comes again.
BOOTSTRAP_S: Final = 10.0
#: A broker that does not answer a request for so long has its connection closed. Below the 30 s after which a
#: supervisor ends a role that does not stop.
REQUEST_S: Final = 15.0
#: Longest pause before the next attempt to connect: a broker that is back is found within two seconds.
_RECONNECT_MS: Final = 2_000
_METADATA_MS: Final = 60_000
_PROBE_S: Final = 2.0
_DOORS: Final = 3


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """`ca`: PEM file of the authorities that the brokers' certificates are checked against; None = the system's."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None

    @property
    def tls(self) -> bool:
        return self.protocol.endswith("SSL")

    @property
    def sasl(self) -> bool:
        return self.protocol.startswith("SASL")

    def context(self) -> ssl.SSLContext:
        """Verifies the certificate and the host name. Raises TransportError when the CA file cannot be used."""
        try:
            made = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        except OSError as wrong:  # ssl.SSLError is one, too
            raise TransportError(f"the CA certificate {self.ca} (bus.ca) cannot be used: {wrong}") from wrong
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        return made

    def settings(self) -> dict[str, Any]:
        """What every kind of client takes. Raises TransportError when the CA file cannot be used."""
        made: dict[str, Any] = {"security_protocol": self.protocol}
        if self.tls:
            made["ssl_context"] = self.context()
        if self.sasl:
            made["sasl_mechanism"] = self.mechanism
            made["sasl_plain_username"] = self.user
            made["sasl_plain_password"] = self.password
        return made


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as clients are told of it. `bootstrap`: host:port of at least one broker."""

    bootstrap: Sequence[str]
    access: KafkaAccess = KafkaAccess()

    def settings(self) -> dict[str, Any]:
        """Settings that all clients share. Raises TransportError when the CA file cannot be used."""
        return {
            "bootstrap_servers": list(self.bootstrap),
            "bootstrap_timeout_ms": int(BOOTSTRAP_S * 1000),
            "request_timeout_ms": int(REQUEST_S * 1000),
            "reconnect_backoff_max_ms": _RECONNECT_MS,
            "metadata_max_age_ms": _METADATA_MS,
            **self.access.settings(),
        }

    def __str__(self) -> str:
        return ", ".join(self.bootstrap)

    def unreachable(self) -> str:
        """Sentence for a cluster that no client gets into; tries one broker after the other, some seconds each.

        A wrong password and a wrong CA look alike from afar (kafka-python says "unable to bootstrap" for both), so
        both are named; what was seen at the door stands behind.
        """
        seen = "; ".join(self._door(address) for address in self.bootstrap[:_DOORS])
        suspects = []
        if self.access.sasl:
            suspects.append(f"the user {self.access.user!r} or its password (bus.user, bus.password_file)")
        if self.access.tls:
            name = str(self.access.ca) if self.access.ca else "of the system"
            suspects.append(f"the CA certificate {name} (bus.ca)")
        if not suspects:
            return f"Kafka cannot be reached at {self}: {seen}"
        return f"cannot get into Kafka at {self}: {seen}; suspects are {' and '.join(suspects)}"

    def _door(self, address: str) -> str:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        try:
            with socket.create_connection((host, int(port)), _PROBE_S) as plain:
                if not self.access.tls:
                    return f"{address} takes connections" + ("" if self.access.sasl else " but does not answer")
                with self.access.context().wrap_socket(plain, server_hostname=host):
                    return f"{address} shows a certificate that this CA vouches for"
        except ssl.SSLCertVerificationError as wrong:
            return f"{address} shows a certificate that is not accepted ({wrong.verify_message})"
        except ssl.SSLError as wrong:
            return f"{address} does not speak TLS ({wrong.reason})"
        except (OSError, ValueError) as wrong:
            return f"{address}: {wrong}"
