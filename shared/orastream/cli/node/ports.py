"""Chooses ports for the processes of a local node."""

from __future__ import annotations

import errno
import random
import socket

from orastream.contract.errors import SettingsError

FREE_PORTS = range(20_000, 32_000)
"""Below the range of ports for outgoing connections (Linux: from 32 768). In that range a client that reconnects to a
dead server may get the server's port as its own, connect to itself, and keep the port taken."""

LOOPBACK = "127.0.0.1"
"""Where nats-server listens, which the services alone need."""
_TRIES = 200


class Ports:
    """Chooses ports that are free on 127.0.0.1 and `host`, none twice. Another program may take one before its use."""

    def __init__(self, seed: int | None = None, *, host: str = LOOPBACK, among: range = FREE_PORTS) -> None:
        """`host`: the address of this machine on which the services listen (TTS_HOST). `among` are the ports that
        `free` chooses from. Programs that start at once can have a part of them each.
        """
        self._hosts = dict.fromkeys((LOOPBACK, host))
        self._among = among
        self._given: set[int] = set()
        self._random = random.Random(seed)

    def take(self, port: int, option: str) -> int:
        """Take `port`, or with 0 any free one. Raises SettingsError with the option's name when the port is taken."""
        if port == 0:
            return self.free()
        if not self._is_free(port):
            where = " or ".join(self._hosts)
            raise SettingsError(f"{option}: port {port} of {where} is taken; choose another, or 0 for any free one")
        self._given.add(port)
        return port

    def prefer(self, port: int) -> int:
        """Take `port` if it is free, else any free one. Raises SettingsError when there is none."""
        if not self._is_free(port):
            return self.free()
        self._given.add(port)
        return port

    def free(self) -> int:
        """Any free port. Raises SettingsError when none can be found."""
        for _ in range(_TRIES):
            port = self._random.choice(self._among)
            if self._is_free(port):
                self._given.add(port)
                return port
        raise SettingsError(f"no free port found between {self._among.start} and {self._among.stop} of 127.0.0.1")

    def _is_free(self, port: int) -> bool:
        if port in self._given:
            return False
        return all(self._is_free_on(host, port) for host in self._hosts)

    def _is_free_on(self, host: str, port: int) -> bool:
        try:
            host.encode("idna")  # as bind() does, whose own error would be a TypeError
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore closed connections in TIME_WAIT
                probe.bind((host, port))
        except (OSError, UnicodeError) as exc:  # UnicodeError: it cannot be a name of the DNS
            # Another error than a taken port is about TTS_HOST: the service that listens there names it.
            return host != LOOPBACK and getattr(exc, "errno", None) != errno.EADDRINUSE
        return True
