"""Syslog over UDP, TCP and TLS in, one RawRecord for each message into the spool, its bytes as they were sent.

UDP: RFC 5426, a datagram is a message. TCP and TLS: `syslog_framing`. The message itself (RFC 3164, RFC 5424) is read
by the parsers. TCP and TLS senders are read only as fast as their messages are stored; UDP senders cannot wait, so
their messages are shed when there is no room, and what the kernel drops is read from /proc/net/udp and counted.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from soc.collect.intake import Intake
from soc.collect.listen import bound, server_tls
from soc.collect.spool import PRIORITIES, Batch
from soc.collect.syslog_framing import MAX_MESSAGE, Message, SyslogFramer
from soc.event import ContentError, RawRecord, Rejected

log = logging.getLogger(__name__)

_RECEIVE_BUFFER: Final = 32 << 20  # bytes asked for; the kernel gives up to net.core.rmem_max
_DATAGRAM: Final = 65_536
_DRAIN: Final = 1_000  # datagrams read before others get their turn
_READ: Final = 65_536
_HANDSHAKE_S: Final = 10.0
_SHUTDOWN_S: Final = 1.0  # a client that does not say goodbye is not waited for
_DROPS_S: Final = 5.0
_SO_RCVBUFFORCE: Final = 33  # Linux: beyond rmem_max, for those with CAP_NET_ADMIN


@dataclass(frozen=True, slots=True)
class SyslogListener:
    """Configuration of one syslog listener. `transport`: udp, tcp, tls; tcp and tls need addresses of their own.

    `name` is part of the records' ids and of messages to people.
    """

    listen: str
    transport: Sequence[str] = ("udp", "tcp")
    source: str = "auto"
    unit: str = ""
    priority: str = "normal"
    tls_cert: str | Path = ""
    tls_key: str | Path = ""
    tls_ca: str | Path = ""
    max_message: int = MAX_MESSAGE

    @property
    def name(self) -> str:
        return f"syslog {self.listen}"


class SyslogServer:
    """Bound sockets of one listener. Binding raises ContentError or TransportError; `serve` runs in the event loop."""

    def __init__(self, config: SyslogListener, now: Callable[[], datetime]) -> None:
        self._config = config
        self._now = now
        self._priority = PRIORITIES.index(config.priority)
        self._tls: ssl.SSLContext | None = None
        self.udp: socket.socket | None = None
        self.tcp: socket.socket | None = None
        wanted = set(config.transport)
        if unknown := wanted - {"udp", "tcp", "tls"}:
            raise ContentError(config.name, 0, f"transport {sorted(unknown)[0]!r} is none of udp, tcp, tls")
        if {"tcp", "tls"} <= wanted:
            raise ContentError(config.name, 0, "tcp and tls cannot share an address; give tls an entry of its own")
        if "tls" in wanted:
            self._tls = server_tls(config.tls_cert, config.tls_key, config.tls_ca, config.name)
        try:
            if wanted & {"tcp", "tls"}:
                self.tcp = bound(config.listen, socket.SOCK_STREAM, config.name)
            if "udp" in wanted:
                self.udp = bound(config.listen, socket.SOCK_DGRAM, config.name)
                _enlarge(self.udp)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the sockets, served or not."""
        for sock in (self.udp, self.tcp):
            if sock:
                sock.close()

    async def serve(self, intake: Intake, stop: asyncio.Event) -> None:
        """Receive until `stop` is set; messages that were read are in the intake when it returns."""
        tasks = []
        if self.udp:
            tasks.append(self._serve_udp(self.udp, intake, stop))
        if self.tcp:
            tasks.append(self._serve_tcp(self.tcp, intake, stop))
        await asyncio.gather(*tasks)

    def _record(self, message: Message, received: datetime, sender: str, stream: str, facts: dict[str, str]) -> Any:
        c = self._config
        record = RawRecord("", message.data, received, c.source, c.unit, sender, stream, facts)
        return Rejected(record, message.code, message.detail, "collect") if message.code else record

    # ------------------------------------------------------------ UDP

    async def _serve_udp(self, sock: socket.socket, intake: Intake, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        some = asyncio.Event()
        loop.add_reader(sock, some.set)
        drops = _Drops(sock)
        looked = loop.time()
        stopping = asyncio.create_task(stop.wait())
        try:
            while True:
                waiting = asyncio.create_task(some.wait())
                await asyncio.wait({waiting, stopping}, timeout=_DROPS_S, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                some.clear()
                more = True
                while more:
                    more = not intake.is_full and self._drain(sock, intake)
                    await asyncio.sleep(0)  # others' turn
                if loop.time() - looked >= _DROPS_S or stop.is_set():
                    looked = loop.time()
                    self._count(drops, intake)
                if stop.is_set():
                    return
                if intake.is_full:
                    await asyncio.sleep(0.01)
                    some.set()
        finally:
            stopping.cancel()
            loop.remove_reader(sock)

    def _drain(self, sock: socket.socket, intake: Intake) -> bool:
        """Hand over the datagrams that are there, up to _DRAIN; whether there may be more."""
        received, items = self._now(), []
        try:
            for _ in range(_DRAIN):
                data, peer = sock.recvfrom(_DATAGRAM)
                if data:
                    facts = {"transport": "udp", "port": str(peer[1])}
                    items.append(self._record(Message(data), received, _host(peer), "udp", facts))
        except BlockingIOError:
            pass
        except OSError as e:  # an error of an earlier send; nothing is lost
            log.warning("%s: %s", self._config.name, e)
        if items:
            intake.put(Batch(self._config.name, items, self._priority, waits=False))
        return len(items) == _DRAIN

    def _count(self, drops: _Drops, intake: Intake) -> None:
        number = drops.since()
        if number:
            log.warning("%s: the kernel dropped %d datagrams; raise net.core.rmem_max", self._config.name, number)
            intake.lost(self._config.unit, self._config.source, self._now(), number)

    # ------------------------------------------------------------ TCP and TLS

    async def _serve_tcp(self, sock: socket.socket, intake: Intake, stop: asyncio.Event) -> None:
        connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            connections[writer] = task
            try:
                await self._connection(reader, writer, intake, stop)
            finally:
                del connections[writer]
                writer.close()

        options: dict[str, Any] = {}
        if self._tls:
            options = {
                "ssl": self._tls,
                "ssl_handshake_timeout": _HANDSHAKE_S,
                "ssl_shutdown_timeout": _SHUTDOWN_S,
            }
        server = await asyncio.start_server(connected, sock=sock, limit=_READ, **options)
        await stop.wait()
        server.close()
        for writer in connections:
            writer.close()  # what was received before is still read
        if connections:
            await asyncio.wait(list(connections.values()))

    async def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, intake: Intake, stop: asyncio.Event
    ) -> None:
        transport = "tls" if self._tls else "tcp"
        peer = writer.get_extra_info("peername") or ("", 0)
        sender = _host(peer)  # the stream is the transport, not the connection: a sender's order holds across them
        facts = {"transport": transport, "port": str(peer[1]), **_certificate(writer)}
        framer = SyslogFramer(self._config.max_message)
        while True:
            try:
                chunk = await reader.read(_READ)
            except (ConnectionError, ssl.SSLError, TimeoutError) as e:
                log.info("%s: the connection of %s ended: %s", self._config.name, sender, e)
                chunk = b""
            messages = framer.feed(chunk) if chunk else framer.finish()
            if messages:
                received = self._now()
                items = [self._record(m, received, sender, transport, facts) for m in messages]
                await intake.put_patiently(Batch(self._config.name, items, self._priority), stop)
            if not chunk:
                return


def _host(peer: tuple[Any, ...]) -> str:
    """The peer's address; IPv4 as IPv4 also on an IPv6 socket."""
    return str(peer[0]).removeprefix("::ffff:")


def _certificate(writer: asyncio.StreamWriter) -> dict[str, str]:
    """Who a TLS client says it is, if its certificate was checked."""
    certificate = writer.get_extra_info("peercert") or {}
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return {"tls_client": names[0]} if names else {}


def _enlarge(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)


class _Drops:
    """Datagrams that the kernel dropped for a socket, by proc(5): the last column of /proc/net/udp and udp6."""

    def __init__(self, sock: socket.socket) -> None:
        self._table = Path("/proc/net/udp6" if sock.family == socket.AF_INET6 else "/proc/net/udp")
        self._inode = str(Path(f"/proc/self/fd/{sock.fileno()}").stat().st_ino)
        self._before = 0

    def since(self) -> int:
        """New ones since the last call; 0 where the table cannot be read."""
        try:
            lines = self._table.read_text("ascii").splitlines()[1:]
        except OSError:
            return 0
        total = next((int(f[12]) for f in map(str.split, lines) if len(f) > 12 and f[9] == self._inode), self._before)
        new, self._before = total - self._before, total
        return max(0, new)
