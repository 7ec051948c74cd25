"""Follow chapter 3 of the runbook: run the commands of its text and check their output."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

CHAPTER = Path(__file__).with_name("runbook_chapter3.md")
#: thirty requests for the verdict, on a loaded machine
CHAPTER_S = 300.0


def commands(*sections: str) -> str:
    """Return the shell commands of these sections of the runbook."""
    text = CHAPTER.read_text()
    found = []
    for section in sections:
        body = text[text.index(f"### {section} ") :].split("\n### ")[0]
        found.append(re.findall(r"```bash\n(.*?)```", body, flags=re.DOTALL)[0])
    return "\n".join(found)


def follow_chapter_3(base: str, directory: Path) -> None:
    """Run 3.2 to 3.5 in ``directory`` against the node at ``base``. AssertionError if the verdict is not *Accepted*."""
    script = f"set -euo pipefail\nexport API_BASE={base}\n" + commands("3.2", "3.3", "3.4", "3.5")
    done = subprocess.run(
        ["/bin/bash", "-c", script], cwd=directory, capture_output=True, text=True, timeout=CHAPTER_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TOKEN acquired: " in done.stdout
    assert re.search(r"^\[\d+\] status=Accepted$", done.stdout, flags=re.MULTILINE), done.stdout
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert answer["status"] == "Accepted"
    assert [test["status"] for test in answer["data"]["tests"]] == ["Accepted"]
