"""TLS of the connections that this process opens: the files, the context made of them, and what a failure means.

`pem` and `failures` are pure. `files` reads the files and makes `ssl.SSLContext`. NATS and OraServer use the same code
with other names of settings.
"""

from orastream.tls.failures import TlsPeer, closed_early, ended_by_peer, explain, explains
from orastream.tls.files import ORASERVER, ClientTls, TlsFiles, TlsNames

__all__ = [
    "ORASERVER",
    "ClientTls",
    "TlsFiles",
    "TlsNames",
    "TlsPeer",
    "closed_early",
    "ended_by_peer",
    "explain",
    "explains",
]
