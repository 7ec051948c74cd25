"""The runbook's chapter 3, extracted from its text and executed as it stands there, against ``make run``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

from tests.e2e.nodes import MAKE_RUN, running

CHAPTER = Path(__file__).with_name("runbook_chapter3.md")


def commands(*sections: str) -> str:
    """The shell commands of the runbook's sections, as they stand there."""
    text = CHAPTER.read_text()
    found = []
    for section in sections:
        body = text[text.index(f"### {section} ") :].split("\n### ")[0]
        found.append(re.findall(r"```bash\n(.*?)```", body, flags=re.DOTALL)[0])
    return "\n".join(found)


def test_chapter_3_gives_accepted(home: Path, tmp_path: Path) -> None:
    with running(home, command=MAKE_RUN) as node:
        script = f"set -euo pipefail\nexport API_BASE={node.base}\n" + commands("3.2", "3.3", "3.4", "3.5")
        done = subprocess.run(
            ["/bin/bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False
        )
        os.killpg(node.process.pid, signal.SIGINT)
        node.process.wait(60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TOKEN acquired: " in done.stdout
    assert re.search(r"^\[\d+\] status=Accepted$", done.stdout, flags=re.MULTILINE), done.stdout
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert answer["status"] == "Accepted"
    assert [test["status"] for test in answer["data"]["tests"]] == ["Accepted"]
