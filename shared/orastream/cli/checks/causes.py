"""Names each cause once: joins the findings of doctor that have the same cause. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from orastream.cli.checks.diagnosis import SERVICE_MISSING, STARTED, Finding, ServiceAnswer
from orastream.jetstream.api_errors import Meaning, meaning


def joined(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, those with the same cause and fix as one, in the place of the first.

    The cause of a finding that names none is what it says. Findings that are ok stay as they are. A joined one names
    all subjects after the cause, and then what the first one says.
    """
    groups: dict[object, list[Finding]] = {}
    for number, finding in enumerate(findings):
        key = number if finding.level == "ok" else (finding.level, finding.cause or finding.says, finding.fix)
        groups.setdefault(key, []).append(finding)
    return [_one(group) for group in groups.values()]


def _one(group: Sequence[Finding]) -> Finding:
    first = group[0]
    if len(group) == 1:
        return first
    kinds = [finding.subject.partition(" ") for finding in group]
    of_one_kind = len({kind for kind, _, _ in kinds}) == 1
    names = [name or kind for kind, _, name in kinds] if of_one_kind else [finding.subject for finding in group]
    subject = f"{kinds[0][0]}s" if of_one_kind else "node"
    says = f"{first.cause or first.says}: {', '.join(names)}"
    return replace(first, subject=subject, says=f"{says}; {names[0]}: {first.says}" if first.cause else says)


def needs_its_stream(answer: Mapping[str, Any]) -> bool:
    """Whether a consumer is missing because its stream is: the finding about the stream names the cause."""
    return meaning(answer.get("error") or {}) is Meaning.NO_STREAM


def judge_services(findings: Sequence[Finding]) -> list[Finding]:
    """The findings about the services that pull; one if none of them runs: then the node was not started."""
    if len(findings) < 2 or any(SERVICE_MISSING not in finding.says for finding in findings):
        return list(findings)
    names = ", ".join(finding.subject for finding in findings)
    return [Finding("services", "problem", f"{SERVICE_MISSING}: {names} (no process of them, or all hang)", STARTED)]


def judge_oraserver(
    findings: Sequence[Finding], urls: Sequence[str], answers: Sequence[ServiceAnswer]
) -> list[Finding]:
    """The findings about the two URLs of OraServer; one if both have the same host and port, and nothing is there."""
    same_place = len({_place(url) for url in urls}) == 1
    if not same_place or any(answer.status is not None or answer.tls for answer in answers):
        return list(findings)
    first, *_ = findings
    where = " and ".join(finding.says.partition(" cannot be reached")[0] for finding in findings)
    fix = "start OraServer, or set ORASERVER_WEBSOCKET_URL and ORASERVER_HTTP_URL to where it is"
    return [replace(first, subject="OraServer", says=f"{where} cannot be reached: {answers[-1].trouble}", fix=fix)]


def _place(url: str) -> object:
    """The host and port of a URL; the URL itself if it has none, because each invalid one is a cause of its own."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    except ValueError:
        return url
    return (parts.hostname, port) if parts.hostname else url
