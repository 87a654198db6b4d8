"""A GPT-SoVITS server for tests: the HTTP API of api_v2.py, with tones for voices and faults on demand.

It behaves as the real one (RVC-Boss/GPT-SoVITS, api_v2.py and TTS.py):

- the order and the texts of its checks; a language in upper case passes the check and fails later;
- the body: in mode 0 a whole WAV file, in the streaming modes a WAV header with data size 0 and then raw samples;
- a failure before inference: 400 in mode 0; in a streaming mode a 200 whose body breaks off without a byte;
- a failure inside inference: one second of zeros at 16 kHz, then the stream breaks off;
- two sentences at once are not refused. Here they are recorded as a violation.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.gpt_sovits_listener import TtsCall, gone
from tests.support.gpt_sovits_speech import FAILURE_HZ, LANGUAGES, Fault, problem_of, segments, speech, tone, wav

REFERENCE = "/voices/mina.wav"


class GptSovitsServer:
    """The server, as `with`. It has its own threads; attributes may be read and set at any time."""

    def __init__(self, *, rate_hz: int = 32_000, references: Sequence[str] = (REFERENCE,)) -> None:
        self.rate_hz = rate_hz
        self.references = set(references)
        self.weights = {"a.ckpt", "b.ckpt", "a.pth", "b.pth"}
        self.calls: list[TtsCall] = []
        self.violations: list[str] = []
        self.requested_weights: list[str] = []
        self.weights_s = 0.0
        """Seconds that loading weights takes."""
        self.probes = 0
        self.gpt_weights: str | None = None
        self.sovits_weights: str | None = None
        self.reloaded = threading.Event()
        """After a failure inside inference the response ends when this is set."""
        self.reloaded.set()
        self.stopping = threading.Event()
        self._faults: deque[Fault] = deque()
        self._speaking: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._http: ThreadingHTTPServer | None = None
        self.port = 0

    def __enter__(self) -> GptSovitsServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    @property
    def url(self) -> str:
        """The URL for GPT_SOVITS_URLS."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start to listen. After `die` it uses the same port and has lost the weights that were set."""
        assert self._http is None, "the server runs already"
        self.gpt_weights = self.sovits_weights = None
        self.stopping.clear()
        self._http = _Listener(("127.0.0.1", self.port), self)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def die(self) -> None:
        """Close the port and all connections, as SIGKILL does. Idempotent."""
        if self._http is None:
            return
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._http = None
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def misbehave(self, *faults: Fault) -> None:
        """Apply these faults to the next sentences, one to each."""
        self._faults.extend(faults)

    # ---- called by the handlers

    def opened(self, connection: socket.socket) -> None:
        """Note an open connection."""
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Note that a connection was closed."""
        with self._lock:
            self._open.discard(connection)

    @contextlib.contextmanager
    def speaking(self, connection: socket.socket, fields: dict[str, Any]) -> Iterator[tuple[TtsCall, Fault | None]]:
        """Context for one sentence. A second one at the same time is a violation, unless the first client has left."""
        with self._lock:
            if any(not gone(other) for other in self._speaking):
                self.violations.append("two sentences at once")
            self._speaking.add(connection)
            fault = self._faults.popleft() if self._faults else None
            call = TtsCall(fields, self.gpt_weights, self.sovits_weights)
            self.calls.append(call)
        began = time.monotonic()
        try:
            yield call, fault
        except (BrokenPipeError, ConnectionResetError):
            if not self.stopping.is_set():
                call.left_after_s = time.monotonic() - began
        finally:
            call.done.set()
            with self._lock:
                self._speaking.discard(connection)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], server: GptSovitsServer) -> None:
        super().__init__(address, _Handler)
        self.gpt_sovits = server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing when a connection was reset."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.gpt_sovits = self.server.gpt_sovits
        self.gpt_sovits.opened(self.connection)

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.gpt_sovits.closed(self.connection)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = parse_qs(url.query).get("weights_path", [None])[0]
        if url.path not in ("/set_gpt_weights", "/set_sovits_weights"):
            self.gpt_sovits.probes += 1
            return self._json(404, {"detail": "Not Found"})
        kind = "gpt" if url.path == "/set_gpt_weights" else "sovits"
        if not path:
            return self._json(400, {"message": f"{kind} weight path is required"})
        self.gpt_sovits.requested_weights.append(path)
        if path not in self.gpt_sovits.weights:
            return self._json(400, {"message": f"change {kind} weight failed", "Exception": f"no such file: {path}"})
        self.gpt_sovits.stopping.wait(self.gpt_sovits.weights_s)
        setattr(self.gpt_sovits, f"{kind}_weights", path)
        self._json(200, {"message": "success"})

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if urlsplit(self.path).path != "/tts":
            return self._json(404, {"detail": "Not Found"})
        try:
            fields = json.loads(data)
        except ValueError:
            return self._json(422, {"detail": [{"type": "json_invalid"}]})
        with self.gpt_sovits.speaking(self.connection, fields) as (call, fault):
            self._tts(call.fields, fault)

    # ---- responses

    def _json(self, status: int, body: dict[str, Any]) -> None:
        self._plain(status, "application/json", json.dumps(body, ensure_ascii=False).encode())

    def _plain(self, status: int, kind: str, body: bytes, *, announced: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if announced is None else announced))
        self.end_headers()
        self.wfile.write(body)

    def _tts(self, fields: dict[str, Any], fault: Fault | None) -> None:
        if fault == "mute":
            return self._wait_until_left()
        if fault == "server error":
            return self._plain(500, "text/html", b"<html><h1>Internal Server Error</h1></html>")
        if fault == "deep refusal":
            return self._plain(400, "application/json", b"[" * 30_000)
        if fault == "rude refusal":
            return self._json(400, {"message": "\x1b[31mno\u202e"})
        if problem := problem_of(fields):
            return self._json(400, {"message": problem})
        failure = self._failure(fields)
        rate_hz, speed = self.gpt_sovits.rate_hz, fields.get("speed_factor", 1.0)
        pcm = speech(fields["text"], rate_hz, speed, fields.get("fragment_interval", 0.3))
        if fields.get("streaming_mode", False) in (0, False):
            if failure:
                return self._json(400, {"message": "tts failed", "Exception": failure})
            file = wav(bytes(2 * FAILURE_HZ), FAILURE_HZ) if fault == "inference" else wav(pcm, rate_hz)
            if fault == "short file":
                self._plain(200, "audio/wav", file[:-1000], announced=len(file))
                return self._break()
            if fault in ("short wav", "closing", "closing, announced"):
                self.send_response(200)
                self.send_header("Connection", "close")
                if fault == "closing, announced":
                    self.send_header("Content-Length", str(len(file)))
                self.end_headers()
                self.wfile.write(file[:-1000] if fault == "short wav" else file)
                return self._break()
            return self._plain(200, "audio/wav", file)
        self.send_response(200)
        self.send_header("Content-Type", "audio/wav")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if failure or fault == "break early":
            return self._break()
        if fault == "not wav":
            self._chunk(b"<html>welcome</html>")
            return self._chunk(b"")
        if fault in ("inference", "endless silence"):
            self._chunk(wav(b"", FAILURE_HZ))
            while fault == "endless silence":
                self._chunk(bytes(FAILURE_HZ))
            return self._fail_inside()
        if not pcm:
            return self._chunk(b"")  # no text: not even a header
        self._chunk(wav(b"", rate_hz))
        self._stream(fields, pcm, fault)

    def _stream(self, fields: dict[str, Any], pcm: bytes, fault: Fault | None) -> None:
        size = {1: 1 << 30, 2: 24_000, 3: 10_000}[fields["streaming_mode"]]
        if fault == "slow":
            size = 3_200
        first = len(tone(segments(fields["text"])[0], self.gpt_sovits.rate_hz, fields.get("speed_factor", 1.0)))
        if fault in ("trickle", "trickle at first"):
            if fault == "trickle":
                self._chunk(pcm[:first])
            while not self.gpt_sovits.stopping.wait(0.1):
                self._chunk(b"\0\0")
            return self._break()
        if fault in ("break", "stall", "inference later"):
            self._chunk(pcm[:first])
            if fault == "break":
                return self._break()
            return self._wait_until_left() if fault == "stall" else self._fail_inside()
        for at in range(0, len(pcm), size):
            if fault == "slow" and self.gpt_sovits.stopping.wait(0.05):
                return self._break()
            if gone(self.connection):
                raise ConnectionResetError
            self._chunk(pcm[at : at + size])
        while fault == "endless":
            self._chunk(pcm[:first])
        if fault == "half a sample":
            self._chunk(b"\x01")
        self._chunk(b"")

    def _failure(self, fields: dict[str, Any]) -> str | None:
        """The error that TTS.run raises before inference, or None."""
        if fields["text_lang"] not in LANGUAGES or fields["prompt_lang"] not in LANGUAGES:
            return "assertion failed"
        if fields["ref_audio_path"] not in self.gpt_sovits.references:
            return f"{fields['ref_audio_path']} not exists"
        return None

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _fail_inside(self) -> None:
        self._chunk(bytes(2 * FAILURE_HZ))
        while not self.gpt_sovits.reloaded.wait(0.01):
            if gone(self.connection):
                raise ConnectionResetError
        self._break()

    def _break(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def _wait_until_left(self) -> None:
        while not self.gpt_sovits.stopping.wait(0.005):
            if gone(self.connection):
                raise ConnectionResetError
        self._break()
