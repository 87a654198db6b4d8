"""The processes and ports that `orastream up` plans, and how other commands find the node."""

from __future__ import annotations

import os
import re
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from orastream.broker import Access
from orastream.cli.node import stack, upfile
from orastream.cli.node.disk import disk_plan
from orastream.cli.node.nats_config import Sync, nats_config
from orastream.cli.node.ports import FREE_PORTS, Ports
from orastream.cli.node.settings import CliSettings, choose_node, environment
from orastream.cli.node.stack import Options, Stack
from orastream.cli.node.upfile import Service, UpFile
from orastream.contract.errors import SettingsError
from orastream.service.settings import KNOWN
from services.ws_bridge.settings import WsBridgeSettings
from tests.support.ipv6 import HAS_IPV6

pytestmark = pytest.mark.unit

DISK = 100 << 30


def planned(tmp_path: Path, **options: object) -> Stack:
    made = Options(tmp_path, 0, 0, 0, **options)  # type: ignore[arg-type]
    return stack.plan(made, Ports(), disk_bytes=DISK)


def test_plan_drains_oraserver_after_the_bridges_and_nats_last(tmp_path: Path) -> None:
    stages = {part.name: part.stage for part in planned(tmp_path).parts}
    assert stages["nats-server"] > stages["oraserver"] > stages["ws_bridge"]
    assert stages["synth"] == stages["ws_bridge"] == stages["http_bridge"] == stages["gateway"]


@pytest.mark.parametrize(
    ("env", "grace_s"),
    [({}, 12), ({"DRAIN_SECONDS": "60"}, 63), ({"drain_seconds": "60"}, 63), ({"DRAIN_SECONDS": "x"}, 12)],
)
def test_plan_kills_a_service_after_its_drain(tmp_path: Path, env: dict[str, str], grace_s: float) -> None:
    """Some seconds after it. The services themselves report an invalid value."""
    parts = {part.name: part for part in planned(tmp_path, env=env).parts}
    assert {parts[name].grace_s for name in ("synth", "ws_bridge", "http_bridge", "gateway")} == {grace_s}


def test_plan_gives_all_processes_the_same_nats_and_oraserver(tmp_path: Path) -> None:
    node = planned(tmp_path, env={"ORASERVER_WEBSOCKET_URL": "ws://elsewhere", "PATH": "/bin"})
    assert node.oraserver_url is not None
    for part in node.parts[1:]:
        assert part.env["NATS_URL"] == node.nats_url
        assert part.env["ORASERVER_WEBSOCKET_URL"] == f"ws{node.oraserver_url.removeprefix('http')}/ws/tts"
        assert part.env["PATH"] == "/bin"
    urls = [part.url for part in node.parts]
    assert len(set(urls)) == len(urls)


def test_plan_takes_no_files_for_tls_from_the_environment_or_dot_env(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nats-server and the OraServer that `up` starts have no TLS and no users."""
    given = {name: f"{name}.pem" for name in KNOWN if name.endswith(("_CA", "_CERT", "_KEY", "_CREDS", "_SEED"))}
    given["NATS_TLS_HANDSHAKE_FIRST"] = "true"
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    bridge = next(part for part in planned(tmp_path / "data", env=given).parts if part.name == "ws_bridge")
    for name, value in bridge.env.items():
        monkeypatch.setenv(name, value)
    settings = WsBridgeSettings.load()
    assert settings.nats_access == Access() and not settings.oraserver_tls.files
    elsewhere = stack.plan(Options(tmp_path / "data", 0, 0, None, env=given), Ports(), disk_bytes=DISK)
    assert elsewhere.parts[-1].env["ORASERVER_CA"] == "ORASERVER_CA.pem"


def test_plan_takes_the_delivery_urls_from_the_environment_without_oraserver(tmp_path: Path) -> None:
    options = Options(tmp_path, 0, 0, None, env={"ORASERVER_WEBSOCKET_URL": "wss://ora.example/ws"})
    node = stack.plan(options, Ports(), disk_bytes=DISK)
    assert node.oraserver_url is None
    assert "oraserver" not in [part.name for part in node.parts]
    assert {part.env["ORASERVER_WEBSOCKET_URL"] for part in node.parts} == {"wss://ora.example/ws"}
    assert (node.websocket_url, node.http_url) == ("wss://ora.example/ws", "http://127.0.0.1:8080/api/tts")


def test_plan_contains_the_urls_that_its_bridges_deliver_to(tmp_path: Path) -> None:
    node = planned(tmp_path, env={"ORASERVER_HTTP_URL": "http://elsewhere"})
    assert (node.websocket_url, node.http_url) == (
        node.parts[-1].env["ORASERVER_WEBSOCKET_URL"],
        node.parts[-1].env["ORASERVER_HTTP_URL"],
    )
    other = Options(
        tmp_path, 0, 0, None, env={"oraserver_http_url": "http://ora.example", "ORASERVER_WEBSOCKET_URL": ""}
    )
    node = stack.plan(other, Ports(), disk_bytes=DISK)
    assert (node.websocket_url, node.http_url) == ("ws://127.0.0.1:8080/ws/tts", "http://ora.example")


def test_plan_gives_each_replica_its_own_name_and_port(tmp_path: Path) -> None:
    node = planned(tmp_path, replicas={"synth": 3})
    synths = [part for part in node.parts if part.name.startswith("synth")]
    assert [part.name for part in synths] == ["synth-1", "synth-2", "synth-3"]
    assert len({part.env["TTS_HEALTH_PORT"] for part in synths}) == 3


def test_plan_writes_the_configuration_of_nats_with_the_wanted_sync(tmp_path: Path) -> None:
    for sync in Sync:
        node = planned(tmp_path, sync=sync)
        nats = node.parts[0]
        (config,) = nats.files
        assert nats.command[1:] == ("-c", str(config))
        port, monitoring_port = (urlsplit(url).port or 0 for url in (node.nats_url, node.nats_monitoring_url))
        assert nats.files[config] == nats_config(
            port, monitoring_port, tmp_path / "nats", sync, max_file_store=disk_plan(DISK, {}).max_file_store
        )
        assert not any(part.files for part in node.parts[1:])


@pytest.mark.parametrize("option", ["nats_port", "gateway_port", "oraserver_port"])
def test_monitoring_port_yields_to_a_port_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    wanted = Ports().free()
    monkeypatch.setattr(stack, "NATS_MONITORING_PORT", wanted)
    options = replace(Options(tmp_path, 0, 0, 0), **{option: wanted})
    node = stack.plan(options, Ports(), disk_bytes=DISK)
    assert node.nats_monitoring_url != f"http://127.0.0.1:{wanted}"
    options = Options(tmp_path, Ports().free(), 0, 0)
    node = stack.plan(options, Ports(), disk_bytes=DISK)
    assert node.nats_monitoring_url == f"http://127.0.0.1:{wanted}"


def test_two_nodes_with_any_free_ports_that_start_at_once_take_no_default_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens yet when the second one is planned, so both would find the same default ports free."""
    kinds = list(stack.REPLICATED)
    free = Ports()
    wanted = dict(zip([*kinds, "nats"], (free.free() for _ in range(4)), strict=True))
    monkeypatch.setattr(stack, "NATS_MONITORING_PORT", wanted["nats"])
    monkeypatch.setattr(stack, "REPLICATED", {kind: wanted[kind] for kind in kinds})
    node = planned(tmp_path)
    health = {part.env["TTS_HEALTH_PORT"] for part in node.parts if part.name in kinds}
    assert len(health) == 3 and health.isdisjoint(map(str, wanted.values()))
    assert node.nats_monitoring_url != f"http://127.0.0.1:{wanted['nats']}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", {}), ("synth=2", {"synth": 2}), (" synth=2 , ws_bridge=3,", {"synth": 2, "ws_bridge": 3})],
)
def test_parse_replicas_reads_valid_values(text: str, expected: dict[str, int]) -> None:
    assert stack.parse_replicas(text) == expected


@pytest.mark.parametrize("text", ["gateway=2", "synth", "synth=", "synth=0", "synth=-1", "synth=two", "synth=99"])
def test_parse_replicas_refuses_invalid_values(text: str) -> None:
    with pytest.raises(SettingsError, match="--replicas"):
        stack.parse_replicas(text)


def test_plan_passes_on_what_fits_the_disk(tmp_path: Path) -> None:
    options = Options(tmp_path, 0, 0, 0, env={"tts_audio_max_bytes": str(1 << 40), "tts_texts_max_bytes": "x"})
    node = stack.plan(options, Ports(), disk_bytes=400 << 20)
    store = re.search(r"max_file_store: (\d+)", "".join(node.parts[0].files.values()))
    assert store is not None and 0 < int(store[1]) < 400 << 20
    for part in node.parts[1:]:
        assert "tts_audio_max_bytes" not in part.env and part.env["tts_texts_max_bytes"] == "x"
        assert int(part.env["TTS_AUDIO_MAX_BYTES"]) < int(store[1])
    assert "TTS_AUDIO_MAX_BYTES=1099511627776" in node.warnings[0]


@pytest.mark.parametrize(
    ("host", "at"), [("::1", "[::1]"), ("::", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("", "127.0.0.1")]
)
def test_plan_reaches_the_services_where_they_listen(tmp_path: Path, host: str, at: str) -> None:
    node = planned(tmp_path, env={"tts_host": host})
    assert {part.url for part in node.parts if part.url is not None and part.name != "nats-server"} == {
        f"http://{at}:{urlsplit(part.url).port}" for part in node.parts[1:]
    }
    assert node.websocket_url.startswith(f"ws://{at}:") and node.http_url.startswith(f"http://{at}:")
    assert node.nats_url.startswith("nats://127.0.0.1:")


def test_room_counts_what_jetstream_has_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a restart would find less room than the streams that exist have reserved."""
    (tmp_path / stack.STORE / "deep").mkdir(parents=True)
    with (tmp_path / stack.STORE / "deep" / "1.blk").open("wb") as file:
        file.write(b"x" * (1 << 20))
        os.fsync(file)  # the file system may allocate blocks as late as this
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=7 << 20))
    assert 8 << 20 <= stack.room(tmp_path) < 9 << 20


def test_room_is_that_of_the_disk_of_jetstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder may be a link to another disk."""
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2 if path.samefile(other) else 1))
    assert stack.room(tmp_path) == 1
    (tmp_path / stack.STORE).symlink_to(other)
    assert stack.room(tmp_path) == 2


@pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")
def test_a_port_is_free_if_it_is_on_the_host_too() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=f"--gateway-port: port {port} of 127.0.0.1 or ::1"):
            Ports(host="::1").take(port, "--gateway-port")
        assert Ports().take(port, "--gateway-port") == port
    for host in ("203.0.113.1", "a..b", "ü" * 64):  # not of this machine: the services name TTS_HOST
        assert Ports(host=host).free() in FREE_PORTS


def test_take_names_the_option_when_its_port_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=f"--nats-port: port {port}"):
            Ports().take(port, "--nats-port")
        assert Ports().prefer(port) in FREE_PORTS


def test_ports_returns_no_port_twice() -> None:
    ports = Ports(seed=1)
    given = [ports.free() for _ in range(50)]
    assert len(set(given)) == 50
    with pytest.raises(SettingsError):
        ports.take(given[0], "--gateway-port")


def test_read_returns_the_up_file_only_while_its_node_runs(tmp_path: Path) -> None:
    assert UpFile.read(tmp_path) is None
    up = an_up(os.getpid())
    up.write(tmp_path)
    assert UpFile.read(tmp_path) == up
    an_up(2**22 + 1).write(tmp_path)  # above the largest pid of Linux
    assert UpFile.read(tmp_path) is None
    (tmp_path / upfile.NAME).write_text("{")
    assert UpFile.read(tmp_path) is None
    upfile.remove(tmp_path)
    upfile.remove(tmp_path)


def test_lock_refuses_a_second_node_in_a_data_directory(tmp_path: Path) -> None:
    with (
        upfile.locked(tmp_path / "new"),
        pytest.raises(SettingsError, match="--data-dir"),
        upfile.locked(tmp_path / "new"),
    ):
        pass
    with upfile.locked(tmp_path / "new"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="--data-dir"), upfile.locked(tmp_path / "file"):
        pass


def an_up(pid: int) -> UpFile:
    return UpFile(
        pid=pid,
        nats_url="nats://127.0.0.1:7",
        nats_monitoring_url="http://127.0.0.1:9",
        gateway_url="http://127.0.0.1:8",
        oraserver_url=None,
        websocket_url="wss://ora.example/ws",
        http_url="https://ora.example/tts",
        services=(Service(name="synth", pid=1, health_url=None),),
    )


@pytest.mark.parametrize(
    ("option", "variable", "up", "expected"),
    [
        ("nats://a", "nats://b", True, "nats://a"),
        (None, "nats://b", True, "nats://b"),
        (None, None, True, "nats://127.0.0.1:7"),
        (None, None, False, "nats://127.0.0.1:4222"),
    ],
)
def test_choose_node_prefers_the_option_then_the_variable_then_the_up_file(
    option: str | None, variable: str | None, up: bool, expected: str
) -> None:
    settings = CliSettings(_env_file=None, nats_url=variable)
    assert choose_node(option, settings, an_up(1) if up else None).nats_url == expected


def test_choose_node_uses_the_delivery_urls_of_the_up_file_only_for_its_node() -> None:
    settings = CliSettings(_env_file=None, nats_url=None, oraserver_http_url="http://other.example/api")
    node = choose_node(None, settings, an_up(1))
    assert (node.websocket_url, node.http_url) == ("wss://ora.example/ws", "https://ora.example/tts")
    assert choose_node("nats://other", settings, an_up(1)).http_url == "http://other.example/api"


@pytest.mark.parametrize(
    ("option", "variable", "expected"),
    [
        (None, None, "http://127.0.0.1:9"),
        (None, "http://b:8222", "http://127.0.0.1:9"),
        ("nats://other", "http://b:8222", "http://b:8222"),
        ("nats://other", None, None),
    ],
)
def test_choose_node_uses_the_monitoring_port_of_the_up_file_only_for_its_node(
    option: str | None, variable: str | None, expected: str | None
) -> None:
    settings = CliSettings(_env_file=None, nats_monitoring_url=variable)
    assert choose_node(option, settings, an_up(1)).nats_monitoring_url == expected
    assert choose_node(option, settings, None).nats_monitoring_url == variable


def test_up_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    an_up(os.getpid()).write(tmp_path)
    text = (tmp_path / upfile.NAME).read_text().splitlines()
    (tmp_path / upfile.NAME).write_text("\n".join(line for line in text if "monitoring" not in line))
    up = UpFile.read(tmp_path)
    assert up is not None and up.nats_monitoring_url is None


def test_choose_node_takes_no_tls_and_no_nkey_for_the_node_of_the_up_file() -> None:
    settings = CliSettings(_env_file=None, nats_ca=Path("ca.pem"), nats_nkey_seed="user.nk")  # type: ignore[arg-type]
    of_up = choose_node(None, settings, an_up(1)).access
    assert of_up is not None and not of_up.secure and of_up.nkey_seed is None
    assert choose_node("tls://other", settings, an_up(1)).access == Access(ca=Path("ca.pem"), nkey_seed="user.nk")


def test_choose_node_says_where_the_delivery_urls_come_from() -> None:
    settings = CliSettings(_env_file=None, oraserver_http_url="http://other.example/api")  # type: ignore[call-arg]
    up = choose_node(None, settings, an_up(1))
    assert up.websocket_source == up.http_source == "from this directory's `orastream up`"
    other = choose_node("nats://other", settings, an_up(1))
    assert other.http_source == "from ORASERVER_HTTP_URL"
    assert other.websocket_source == "the default; set ORASERVER_WEBSOCKET_URL to that of the node"


def test_environment_prefers_variables_over_dot_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("TTS_VOICE=calm\nTTS_ENGINE=espeak\nORASERVER_TOKEN=\nTTS_AUDIO_MAX_BYTES=9\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TTS_ENGINE", "other")
    monkeypatch.delenv("TTS_VOICE", raising=False)
    monkeypatch.delenv("ORASERVER_TOKEN", raising=False)
    monkeypatch.setenv("TTS_AUDIO_MAX_BYTES", "")  # the services ignore it, and read the one of the file
    env = environment()
    assert (env["TTS_VOICE"], env["TTS_ENGINE"], env["TTS_AUDIO_MAX_BYTES"]) == ("calm", "other", "9")
    assert "ORASERVER_TOKEN" not in env
