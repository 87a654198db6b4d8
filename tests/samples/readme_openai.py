"""README.md: `answer.stream_to_file(`"""

SAMPLE
from pathlib import Path

assert Path("hello.wav").read_bytes()[:4] == b"RIFF"
