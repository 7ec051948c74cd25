import pathlib
import sys

answer = pathlib.Path(sys.argv[2]).read_text().strip()
feedback = pathlib.Path(sys.argv[3])
said = sys.stdin.read().strip()
state = feedback / "encoded"
if not state.exists():
    if not said or answer in said.split():
        sys.exit(43)
    state.write_text(said)
    (feedback / "nextpass.in").write_text("decode " + said + "\n")
    sys.exit(42)
sys.exit(42 if said == answer else 43)
