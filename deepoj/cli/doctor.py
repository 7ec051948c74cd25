"""The command ``deepoj doctor``. The checks are in ``operate.doctor``."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict

import click
import trio

from deepoj.cli import errors
from deepoj.cli.common import print_json, settings
from deepoj.operate.doctor import host_findings, live_findings, reachable_sockets, tool_findings
from deepoj.operate.findings import lines_for_people
from deepoj.words.exits import CHECK_FAILED, GOOD


@click.command()
@click.option("--roles", metavar="LIST", help="The roles that must work here (default: those of the settings).")
@click.option("--embedded", is_flag=True, help="Check for a node with its own servers, as of `deepoj up`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {ok, roles, findings[]}, with a `mend` for each.")
def doctor(roles: str | None, embedded: bool, as_json: bool) -> int:
    """Report what this host can do, what it lacks, and what of the running system needs a person.

    Exit code 1 if a chosen role cannot work, or something delays the judging.
    """
    cfg = settings({"roles": roles, "embedded": embedded or None})
    level, live = trio.run(live_findings, cfg)
    findings = [
        *live,
        *host_findings(),
        *reachable_sockets(cfg),
        *tool_findings(cfg, [finding.what for finding in live]),
    ]
    states = {finding.state for finding in findings}
    is_ok = not states & {"lacks", "fails"}
    if as_json:
        print_json({"ok": is_ok, "roles": sorted(cfg.roles), "findings": [asdict(finding) for finding in findings]})
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo("\n".join(lines_for_people(findings, cfg.roles, level, width)))
        if "lacks" in states:
            errors.say(
                f"a node with the roles {', '.join(sorted(cfg.roles))} cannot work here: see above what it lacks."
            )
        if "fails" in states:
            errors.say("the running system needs a person: see above what fails.")
    return GOOD if is_ok else CHECK_FAILED
