"""The `orastream` application: all commands, with examples in the help of each."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import typer

from orastream.cli.checks.bench import bench
from orastream.cli.checks.demo import demo
from orastream.cli.checks.doctor import doctor
from orastream.cli.checks.oraserver.command import check_oraserver
from orastream.cli.commands.init_auth import init_auth
from orastream.cli.commands.mapping import mapping
from orastream.cli.commands.reading import reading
from orastream.cli.commands.say import say
from orastream.cli.commands.session import cancel, redeliver, report, watch
from orastream.cli.commands.up import up
from orastream.cli.commands.usage import usage
from orastream.cli.commands.voices import voices

app = typer.Typer(
    name="orastream",
    help="Text-to-speech over NATS: run a node, speak texts with it, watch it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _node() -> None:
    """Without a callback, typer would drop the command's name if there were only one command."""


def _add(command: Callable[..., None], *examples: str) -> None:
    """Add a command. Its help is its docstring, without line breaks inside paragraphs, and then the examples."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    lines = "\n\n".join(f"  [cyan]{example}[/]" for example in examples)
    app.command(
        help="\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs),
        epilog=f"[bold]Examples[/]\n\n{lines}",
    )(command)


_add(
    up,
    "orastream up",
    "orastream up --replicas synth=2,ws_bridge=2 --verbose",
    "orastream up --nats-port 0 --gateway-port 0 --oraserver-port 0",
    "ORASERVER_WEBSOCKET_URL=wss://ora.example/ws/tts orastream up --no-oraserver",
)
_add(
    say,
    'orastream say "안녕하세요, 무엇을 도와드릴까요?"',
    'orastream say "Hello" --session s1 --phone p1 --sync',
    'orastream say "Hello" --transport none --save hello.wav',
    'llm "Tell me a story" | orastream say -',
    'orastream say "SQL은 쉽다." --pronounce SQL=시퀄',
)
_add(
    reading,
    'orastream reading "SQL은 3개" --lexicon lexicon.yaml',
    'orastream reading "Nguyen is here." --pronounce Nguyen=Win',
)
_add(watch, "orastream watch", "orastream watch s1 --history", "orastream watch --json | jq .status")
_add(cancel, "orastream cancel s1", "orastream cancel s1 --wait", "orastream cancel s1 --request r1")
_add(redeliver, "orastream redeliver s1", "orastream redeliver s1 r1")
_add(report, "orastream report s1 r1", "orastream report s1 r1 --json")
_add(voices, "orastream voices", "orastream voices --language ko", "orastream voices --json | jq '.[].name'")
_add(usage, "orastream usage", "orastream usage --json | jq '.[].characters'")
_add(bench, "orastream bench", 'orastream bench -n 50 --text "반갑습니다."')
_add(doctor, "orastream doctor", "orastream doctor --nats nats://10.0.0.5:4222")
_add(
    check_oraserver,
    "orastream check-oraserver ws://127.0.0.1:9000/ws/tts --http http://127.0.0.1:9000/api/tts",
    "orastream check-oraserver ws://127.0.0.1:9000/ws/tts --received http://127.0.0.1:9000/received --strict",
    "orastream check-oraserver ws://127.0.0.1:9000/ws/tts --protocol v2 --received http://127.0.0.1:9000/received",
    "orastream check-oraserver wss://ora.example/ws/tts --only ids --only break --json | jq .checks",
)
_add(
    init_auth,
    "orastream init-auth auth",
    "orastream init-auth auth --caller shop --caller kiosk",
    "orastream init-auth auth --caller hall --sessions lobby,stage",
    "orastream init-auth auth --tls --host nats.example.com",
    "orastream init-auth auth --rotate llm",
)
_add(mapping, "orastream mapping --nodes 2", "orastream mapping --nodes 4 --prefix staging")
_add(demo, "orastream demo", "orastream demo --out recordings")
