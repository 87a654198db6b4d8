"""The text of `accounts.conf` and `tls.conf`, which nats-server's configuration includes. Pure.

Every name in it was checked (`names`), and is quoted: none can add a line, and none is read as a number or a boolean.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from orastream.cli.auth.accounts import (
    RELAY_ANSWER,
    SPEAK_ANSWER,
    VOICES_ANSWER,
    AccountPlan,
    CallerAccount,
    Import,
    account_plans,
)
from orastream.cli.auth.names import NODE, OPERATOR, SERVICES
from orastream.cli.auth.rights import ANSWER_S, Rights, heard_reads, report_reads, rights_of
from orastream.contract.names import DEFAULT, Names

CONTAINER_AUTH = "/etc/nats/auth"
"""Where the server's container in compose.yaml and deploy/kubernetes has its folder of these files."""

_WIDTH = 120

_HEAD = """\
# Accounts and users of nats-server. Written by `orastream init-auth`, which replaces this file: change nothing here.
# It holds public keys only: each user signs with the key in its own file. After a change the server must read it again:
# nats-server --signal reload, or docker compose kill -s HUP nats.
#
# The services of the node share the account NODE. All others have other accounts, which reach only the subjects that
# they import from NODE. The server sends an answer to the reply subject that the sender names; across accounts it
# arrives in the sender's account only. So no caller can have an answer stored in the node's streams.
"""

TLS_CONF = f"""\
# TLS with the certificates that `orastream init-auth --tls` has made to try it: replace them before others rely on it.
# With `verify: true` each client must also show a certificate of this authority.
tls {{
  cert_file: {CONTAINER_AUTH}/server.crt
  key_file: {CONTAINER_AUTH}/server.key
  ca_file: {CONTAINER_AUTH}/ca.crt
  verify: true
}}
"""
NO_TLS_CONF = "# No TLS: `orastream init-auth` was called without --tls.\n"


def accounts_conf(callers: Sequence[CallerAccount], public_keys: Mapping[str, str], naming: Names = DEFAULT) -> str:
    """The text of `accounts.conf`. `public_keys` has the public key of each role. Raises KeyError if one is missing."""
    plans = account_plans(tuple(callers), naming)
    lines = ["accounts {", *_node(naming, plans, [caller.account for caller in callers], public_keys)]
    for plan in plans:
        lines += ["", *_account(plan, public_keys[plan.role])]
    return _HEAD + "\n".join([*lines, "}"]) + "\n"


def _node(
    naming: Names, plans: Sequence[AccountPlan], relayed: Sequence[str], public_keys: Mapping[str, str]
) -> list[str]:
    lines = ["  # The services of the node, and its operator, who may do everything in it.", f"  {_quoted(NODE)} {{"]
    lines += ["    jetstream: enabled", "    users: ["]
    for role in (*SERVICES, OPERATOR):
        lines += _user(role, public_keys[role], rights_of(role, relayed, naming))
    lines += ["    ]", "    exports: ["]
    lines += [f"      {_export(naming, one, accounts)}" for one, accounts in _exports(plans)]
    return [*lines, "    ]", "  }"]


def _exports(plans: Sequence[AccountPlan]) -> list[tuple[Import, list[str]]]:
    """Each exported pattern once, with the accounts that import it or a part of it."""
    exports: dict[tuple[str, str], tuple[Import, list[str]]] = {}
    for plan in plans:
        for one in plan.imports:
            _, accounts = exports.setdefault((one.kind, one.export), (one, []))
            if plan.name not in accounts:
                accounts.append(plan.name)
    return list(exports.values())


def _export(naming: Names, one: Import, accounts: Sequence[str]) -> str:
    extra = ""
    # Not `report_get`: the server forgets where an answer goes at once if there is only one.
    several = (naming.voices, *report_reads(naming), naming.audio_read("*", "*"), *heard_reads(naming))
    _, asked = naming.asked_by(one.export)
    if one.kind == "service" and asked in several:
        extra = ", response_type: stream"
        if one.export != asked and asked == naming.voices:
            extra += f", response_threshold: {_quoted(VOICES_ANSWER)}"
    elif one.export.startswith(f"{naming.prefix}.relay."):
        extra = f", response_threshold: {_quoted(RELAY_ANSWER)}"
    elif asked == naming.speak:
        extra = f", response_threshold: {_quoted(SPEAK_ANSWER)}"
    return f"{{{one.kind}: {_quoted(one.export)}{extra}, accounts: [{', '.join(map(_quoted, accounts))}]}}"


def _account(plan: AccountPlan, public_key: str) -> list[str]:
    lines = [f"  # {plan.about}", f"  {_quoted(plan.name)} {{", "    users: ["]
    lines += _user(plan.role, public_key, Rights(None, plan.subscribe))
    lines += ["    ]"]
    if plan.max_connections is not None:
        lines += [f"    limits: {{max_connections: {plan.max_connections}}}"]
    lines += ["    imports: ["]
    lines += [f"      {_import(one)}" for one in plan.imports]
    return [*lines, "    ]", "  }"]


def _import(one: Import) -> str:
    mapped = f", to: {_quoted(one.local)}" if one.local != one.subject else ""
    return f"{{{one.kind}: {{account: {_quoted(NODE)}, subject: {_quoted(one.subject)}}}{mapped}}}"


def _user(role: str, public_key: str, rights: Rights) -> list[str]:
    answers = f'        allow_responses: {{max: 1, expires: "{ANSWER_S}s"}}'
    return [
        f"      # {role}",
        f"      {{nkey: {_quoted(public_key)}, permissions: {{",
        *(_listed("publish", rights.publish) if rights.publish is not None else ()),
        *_listed("subscribe", rights.subscribe),
        *([answers] if rights.answers else []),
        "      }}",
    ]


def _listed(what: str, patterns: Iterable[str]) -> list[str]:
    """Return the patterns as an array of nats-server's configuration, with as many on a line as fit."""
    lines, line = [f"        {what}: ["], "         "
    for pattern in patterns:
        word = f" {_quoted(pattern)},"
        if len(line) + len(word) > _WIDTH:
            lines.append(line)
            line = "         "
        line += word
    return [*lines, line, "        ]"]


def _quoted(text: str) -> str:
    """The text as a quoted string of the configuration. nats-server replaces no variable in it."""
    return json.dumps(text)
