"""The PEM files for TLS of this side: the authority that it trusts, its own certificate, and the key of that."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from orastream.base import logger
from orastream.contract.errors import SettingsError
from orastream.tls import pem
from orastream.tls.failures import TlsPeer

MAX_BYTES = 4 << 20
"""More than any file of authorities has. A longer file is refused: reading it would stop the event loop."""

log = logger.named(__name__)

Stamp = tuple[tuple[int, int, int] | None, ...]
"""Inode, size and time of change of each file; a renewed file has another one."""


@dataclass(frozen=True, slots=True)
class TlsNames:
    """What the user sets to the paths. Errors begin with these names."""

    ca: str
    cert: str
    key: str


ORASERVER = TlsNames("ORASERVER_CA", "ORASERVER_CERT", "ORASERVER_KEY")
"""The bridges' settings for OraServer."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The paths of the files, each of which may be absent. Errors never show the content of a file."""

    names: TlsNames
    ca: Path | None = None
    """Certificates of the authorities to trust. None: those of the system, or of SSL_CERT_FILE."""
    cert: Path | None = None
    """The own certificate, followed by those of the authorities between it and the root."""
    key: Path | None = None

    def __bool__(self) -> bool:
        """Whether a file is given, so that the connection must use TLS."""
        return any((self.ca, self.cert, self.key))

    def check_pair(self) -> None:
        """Raise SettingsError if only one of certificate and key is given."""
        names = self.names
        if self.cert is not None and self.key is None:
            raise SettingsError(f"{names.cert}: {names.key} is missing; set it to the key of this certificate")
        if self.key is not None and self.cert is None:
            raise SettingsError(f"{names.key}: {names.cert} is missing; set it to the certificate of this key")

    def context(self) -> ssl.SSLContext:
        """Read the files and return a context for TLS 1.2 and later, which verifies the server's certificate and name.

        Blocks while it reads. Raises SettingsError, which names the setting and the fix.
        """
        self.check_pair()
        if self.ca is None:
            context = ssl.create_default_context()
        else:
            context = self._context_of_authority(self.ca.expanduser())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert is not None and self.key is not None:
            self._add_certificate(context, self.cert.expanduser(), self.key.expanduser())
        return context

    def peer(self, who: str, address: str) -> TlsPeer:
        """Return what messages about a server need. `address` is the name of the setting with its address."""
        names = self.names
        return TlsPeer(
            who, address, names.ca, names.cert, names.key, has_ca=self.ca is not None, has_cert=self.cert is not None
        )

    def stamp(self) -> Stamp:
        """Return what changes when one of the files, or the system's file of authorities, is replaced."""
        system = ssl.get_default_verify_paths().cafile if self.ca is None else None
        return tuple(_stamp_of(path) for path in (self.ca, self.cert, self.key, system) if path is not None)

    def _context_of_authority(self, path: Path) -> ssl.SSLContext:
        todo = "set it to a PEM file with the certificate of the authority that signed the server's certificate"
        content = _read(path, self.names.ca, todo)
        if (fault := pem.certificate_fault(content)) is not None:
            raise SettingsError(f"{self.names.ca}: {path} {fault}; {todo}")
        try:
            return ssl.create_default_context(cadata=pem.certificates(content))
        except (ssl.SSLError, ValueError):
            raise SettingsError(f"{self.names.ca}: a certificate in {path} is damaged; {todo}") from None

    def _add_certificate(self, context: ssl.SSLContext, cert: Path, key: Path) -> None:
        names = self.names
        todo_cert = f"set it to the PEM file of the certificate that belongs to {names.key}"
        todo_key = f"set it to the PEM file of the key, without a passphrase, that belongs to {names.cert}"
        if (fault := pem.certificate_fault(_read(cert, names.cert, todo_cert))) is not None:
            raise SettingsError(f"{names.cert}: {cert} {fault}; {todo_cert}")
        if (fault := pem.key_fault(_read(key, names.key, todo_key))) is not None:
            raise SettingsError(f"{names.key}: {key} {fault}; {todo_key}")
        try:
            # Without a password function, OpenSSL would ask for a passphrase on the terminal and wait.
            context.load_cert_chain(cert, key, password=lambda: b"")
        except ssl.SSLError as exc:
            if "MISMATCH" in (exc.reason or ""):
                raise SettingsError(
                    f"{names.cert}, {names.key}: the key in {key} does not belong to the certificate in {cert}; "
                    f"set {names.key} to the key of that certificate"
                ) from None
            reason = (exc.reason or "damaged").lower().replace("_", " ")
            raise SettingsError(
                f"{names.cert}, {names.key}: {cert} and {key} cannot be used ({reason}); "
                "set them to a certificate and its key, both in PEM format"
            ) from None
        except OSError as exc:  # replaced between the two reads
            raise SettingsError(f"{names.cert}, {names.key}: cannot read {cert} and {key} ({exc.strerror})") from None


class ClientTls:
    """The context of `files`, made again when a file has changed, so that a renewed certificate needs no restart.

    Only for use in one thread.
    """

    def __init__(self, files: TlsFiles) -> None:
        self.files = files
        self._context: ssl.SSLContext | None = None
        self._stamp: Stamp | None = None
        self._reported: Stamp | None = None
        """The files whose fault is logged already: a bridge connects many times a second."""

    def check(self) -> None:
        """Read the files. Raises SettingsError, which names the setting and the fix."""
        stamp = self.files.stamp()
        self._context, self._stamp = self.files.context(), stamp

    def context(self) -> ssl.SSLContext:
        """Return the context for the next connection.

        If the files have changed and cannot be used, logs a warning and returns the context of the files before: a
        renewal replaces two files, one after the other. Raises SettingsError if there was none before.
        """
        stamp = self.files.stamp()
        if self._context is not None and stamp == self._stamp:
            return self._context
        try:
            self._context, self._stamp = self.files.context(), stamp
        except SettingsError as exc:
            if self._context is None:
                raise
            if stamp != self._reported:
                self._reported = stamp
                log.warning("the renewed files for TLS cannot be used; those before stay in use", error=str(exc))
        return self._context


def _stamp_of(path: Path | str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(Path(path).expanduser())
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path, name: str, todo: str) -> bytes:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # opening a pipe would wait for its writer
            raise SettingsError(f"{name}: {path} is no file; {todo}")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:  # ValueError: the path has a null character
        reason = getattr(exc, "strerror", None) or exc
        raise SettingsError(f"{name}: cannot read {path} ({reason}); {todo}") from None
    if len(content) > MAX_BYTES:
        raise SettingsError(f"{name}: {path} is longer than {MAX_BYTES >> 20} MiB; {todo}")
    return content
