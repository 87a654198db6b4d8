"""What one run of `orastream init-auth` changes: adds callers, keeps or makes keys, writes all files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orastream.cli.auth import env_files, keys, names, server_config
from orastream.cli.auth.accounts import CallerAccount
from orastream.cli.auth.certificates import Pair, TrialAuthority
from orastream.cli.auth.env_files import Place
from orastream.cli.auth.folder import PRIVATE, PUBLIC, AuthFolder, AuthState, opened, save
from orastream.contract.errors import SettingsError

SERVER = "server"
ACCOUNTS, TLS = f"{SERVER}/accounts.conf", f"{SERVER}/tls.conf"
"""The server's files have a folder of their own, which its container mounts: a mounted file would stay the old one."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of one run."""

    callers: tuple[str, ...] = ()
    sessions: str | None = None
    tls: bool = False
    hosts: tuple[str, ...] = ()
    rotate: tuple[str, ...] = ()


@dataclass(slots=True)
class Done:
    """What a run has done, for the user to read. It holds no secret."""

    folder: Path
    callers: tuple[CallerAccount, ...]
    tls: bool
    changed: list[str] = field(default_factory=list)
    """The files whose content has changed, relative to the folder."""
    elsewhere: list[str] = field(default_factory=list)
    """Roles that keep their key, but whose env file is not in the folder any more."""


def carry_out(path: Path, wishes: Wishes) -> Done:
    """Write everything into the folder `path`. Safe to repeat: existing keys are kept. Raises SettingsError."""
    new = _new_callers(wishes)
    with opened(path) as folder:
        before = folder.state()
        callers = merged(before.checked_callers(), new)
        roles = env_files.all_roles(callers)
        if unknown := [role for role in wishes.rotate if role not in roles]:
            raise SettingsError(f"--rotate: there is no role {unknown[0]}; there are: {', '.join(roles)}")
        tls = before.tls or wishes.tls
        hosts = tuple(dict.fromkeys((*before.hosts, *map(names.check_host, wishes.hosts))))
        done = Done(folder.path, callers, tls)
        place = Place(folder.path, (*hosts, "127.0.0.1")[0], tls)
        authority = _authority(folder) if tls else None
        folder.folder(SERVER)
        public_keys = _write_env_files(folder, before, callers, place, wishes.rotate, done)
        _write_folders(folder, roles if tls else names.SERVICES)
        if authority is not None:
            _write_certificates(folder, authority, roles, hosts, done, renamed=hosts != before.hosts)
        _write(folder, done, ACCOUNTS, server_config.accounts_conf(callers, public_keys).encode(), PUBLIC)
        conf = server_config.TLS_CONF if tls else server_config.NO_TLS_CONF
        _write(folder, done, TLS, conf.encode(), PUBLIC)
        save(folder, AuthState.of(callers, public_keys, tls=tls, hosts=hosts))
    return done


def merged(there: Sequence[CallerAccount], new: Sequence[CallerAccount]) -> tuple[CallerAccount, ...]:
    """The callers of earlier runs and of this one. One that is named again takes the new sessions. Pure.

    A caller that is named again without sessions keeps those that it has: a forgotten option must not widen its rights.
    """
    by_account = {caller.account: caller for caller in there}
    for caller in new:
        known = by_account.get(caller.account)
        if known is None or caller.sessions is not None:
            by_account[caller.account] = caller
    return tuple(by_account.values())


def _new_callers(wishes: Wishes) -> tuple[CallerAccount, ...]:
    accounts = [names.account_name(caller) for caller in wishes.callers]
    if len(set(accounts)) != len(accounts):
        raise SettingsError("--caller: a name occurs twice; upper and lower case are the same")
    if wishes.sessions is None:
        return tuple(CallerAccount(account) for account in accounts)
    if len(accounts) != 1:
        raise SettingsError("--sessions: belongs to exactly one --caller; run the command once for each such caller")
    return (CallerAccount(accounts[0], names.split_sessions(wishes.sessions)),)


def _write_env_files(
    folder: AuthFolder,
    before: AuthState,
    callers: tuple[CallerAccount, ...],
    place: Place,
    rotate: Sequence[str],
    done: Done,
) -> dict[str, str]:
    """Write the env file of each role, with its old seed or a new one. Returns the public keys."""
    public_keys: dict[str, str] = {}
    for role in env_files.all_roles(callers):
        name = f"{role}.env"
        text = folder.read(name)
        if text is None and role in before.public_keys and role not in rotate:
            public_keys[role] = before.public_keys[role]
            done.elsewhere.append(role)
            continue
        seed = keys.new_seed() if text is None or role in rotate else env_files.seed_in(text.decode(errors="replace"))
        public = keys.public_key(seed) if seed is not None else None
        if seed is None or public is None:
            raise SettingsError(
                f"{folder.path / name} holds no intact {env_files.SEED}; restore the file, or make a new key: "
                f"--rotate {role}"
            )
        public_keys[role] = public
        _write(folder, done, name, env_files.env_text(role, seed, callers, place).encode())
    return public_keys


def _authority(folder: AuthFolder) -> TrialAuthority:
    certificate, key = folder.read("ca.crt"), folder.read("ca.key")
    return TrialAuthority(Pair(certificate, key) if certificate and key else None)


def _write_folders(folder: AuthFolder, roles: Sequence[str]) -> None:
    """Make the folders of certificates, also without TLS: compose.yaml mounts those of the services."""
    folder.folder("tls")
    for role in roles:
        folder.folder(f"tls/{role}")


def _write_certificates(
    folder: AuthFolder,
    authority: TrialAuthority,
    roles: Sequence[str],
    hosts: tuple[str, ...],
    done: Done,
    *,
    renamed: bool,
) -> None:
    """Write the certificates that are missing or from another authority. `renamed`: the server has other names."""
    own = authority.pair
    _write(folder, done, "ca.key", own.key)
    _write(folder, done, "ca.crt", own.certificate, PUBLIC)
    for role in (SERVER, *roles):
        where, kind = (SERVER, "server") if role == SERVER else (f"tls/{role}", "client")
        kept = folder.read(f"{where}/ca.crt") == own.certificate and folder.read(f"{where}/{kind}.crt") is not None
        if kept and not (renamed and role == SERVER):
            continue
        pair = authority.server(hosts) if role == SERVER else authority.client(role)
        # A container of the server or of a service may run as another user. Callers' keys are for nobody else.
        _write(folder, done, f"{where}/{kind}.key", pair.key, PUBLIC if role in (SERVER, *names.SERVICES) else PRIVATE)
        _write(folder, done, f"{where}/{kind}.crt", pair.certificate, PUBLIC)
        _write(folder, done, f"{where}/ca.crt", own.certificate, PUBLIC)


def _write(folder: AuthFolder, done: Done, name: str, data: bytes, mode: int = PRIVATE) -> None:
    if folder.write(name, data, mode):
        done.changed.append(name)
