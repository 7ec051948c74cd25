"""Examples of each command, shown at the end of its ``--help``. A test parses all of them."""

from __future__ import annotations

from collections.abc import Mapping

import click

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "node": ("deepoj node --roles api,scheduler --host 0.0.0.0", "deepoj node --roles worker --no-reclaim"),
    "up": ("deepoj up --sample", "deepoj up --port 8080 --log json"),
    "migrate": ("deepoj migrate --dry-run", "deepoj migrate --rollback --to 12"),
    "judge": ("deepoj judge --self_test", "deepoj judge -c ./a.out -i 1.in -o 1.out -t 1000 -m 65536"),
    "doctor": ("deepoj doctor", "deepoj doctor --roles worker --json"),
    "drill": ("deepoj drill worker-kill", "deepoj drill soak --jobs 1000 --faults 200"),
    "drill clock-skew": ("deepoj drill clock-skew --json",),
    "drill partition": ("deepoj drill partition",),
    "drill postgres-restart": ("deepoj drill postgres-restart", "deepoj drill postgres-restart --live --yes"),
    "drill queue-flood": ("deepoj drill queue-flood",),
    "drill redis-down": ("deepoj drill redis-down", "deepoj drill redis-down --live --yes --jobs 24"),
    "drill redis-wipe": ("deepoj drill redis-wipe", "deepoj drill redis-wipe --live --yes"),
    "drill stream-trim": ("deepoj drill stream-trim", "deepoj drill stream-trim --live"),
    "drill worker-kill": ("deepoj drill worker-kill", "deepoj drill worker-kill --live --yes --pid 4711"),
    "drill soak": ("deepoj drill soak --jobs 1000 --faults 200", "deepoj drill soak --contest --jobs 300"),
    "bench": ("deepoj bench node", "deepoj bench judge --output judge.json"),
    "bench sandbox": ("deepoj bench sandbox", "deepoj bench sandbox --rounds 200 --json"),
    "bench judge": ("deepoj bench judge", "deepoj bench judge --rounds 3 --large-tests 20"),
    "bench api": ("deepoj bench api", "deepoj bench api --rounds 3 --json"),
    "bench web": ("deepoj bench web", "deepoj bench web --people 20 --rate 2 --seconds 5"),
    "bench slow": ("deepoj bench slow", "deepoj bench slow --clients 50 --seconds 10 --json"),
    "bench contest": ("deepoj bench contest", "deepoj bench contest --submissions 5000 --spectators 100 --seconds 10"),
    "bench node": ("deepoj bench node", "deepoj bench node --rounds 20 --idle-seconds 10"),
    "bench queue": ("deepoj bench queue", "deepoj bench queue --waiting 10000 --finished 100000"),
    "pressure": ("deepoj pressure", "deepoj pressure --json"),
    "probe": ("deepoj probe", "deepoj probe --worker-metrics http://127.0.0.1:9092/metrics --json"),
    "verify": ("deepoj verify b3", "deepoj verify d1 --problem 1 --json"),
    "audit": ("deepoj audit", "deepoj audit --since 2h --json"),
    "rerun": ("deepoj rerun JOB secret/3", "deepoj rerun JOB secret/3 --only output"),
    "problem": ("deepoj problem verify problem.zip", "deepoj problem import problem.zip"),
    "problem show": ("deepoj problem show 1", "deepoj problem show 1 --lang zh"),
    "problem statement": ("deepoj problem statement 1 --lang zh", "deepoj problem statement 1 problem.md"),
    "problem import": ("deepoj problem import problem.zip", "deepoj problem import problem.zip --time-limit 2000"),
    "problem replace": (
        "deepoj problem replace 1 problem.zip --dry-run",
        "deepoj problem replace 1 problem.zip --json",
    ),
    "problem rejudge": (
        "deepoj problem rejudge 1",
        "deepoj problem rejudge 1 --verdict 'Wrong Answer' --language cpp17",
    ),
    "problem preview": (
        "deepoj problem preview 1 --verdict 'Wrong Answer'",
        "deepoj problem preview 1 --apply 3",
    ),
    "problem set": (
        "deepoj problem set 1 --visibility listed --tag dp --all-languages",
        "deepoj problem set 1 --visibility private --group 'Class 7'",
    ),
    "problem verify": ("deepoj problem verify problem.zip", "deepoj problem verify --remote 1 --json"),
    "contest": ("deepoj contest list", "deepoj contest replay event-feed.ndjson"),
    "contest results": ("deepoj contest results finals results.tsv", "deepoj contest results finals --json"),
    "contest list": ("deepoj contest list", "deepoj contest list --json"),
    "contest create": (
        "deepoj contest create finals --name 'City Finals' --duration 5:00:00 --freeze 1:00:00",
        "deepoj contest create week3 --name 'Week 3' --kind homework --duration 168:00:00 --late 48:00:00"
        " --late-percent 20",
    ),
    "contest show": ("deepoj contest show finals",),
    "contest set": (
        "deepoj contest set finals --start 2026-01-31T09:00:00+08:00",
        "deepoj contest set finals --thaw 2026-01-31T16:00:00+08:00",
    ),
    "contest clock": (
        "deepoj contest clock finals pause --reason 'the power failed'",
        "deepoj contest clock finals extend --team owls --extra 0:10:00 --reason 'their machine broke'",
    ),
    "contest delete": ("deepoj contest delete finals", "deepoj contest delete finals --force --json"),
    "contest problem": (
        "deepoj contest problem finals A 1000 --color red --rgb '#d32f2f'",
        "deepoj contest problem finals A --remove",
    ),
    "contest teams": (
        "deepoj contest teams finals teams.csv --create-accounts",
        "deepoj contest teams week3 --members 'Class 7'",
    ),
    "contest clarify": (
        "deepoj contest clarify finals 'May the numbers be negative?' --problem A",
        "deepoj contest clarify finals Yes. --reply-to 1 --to-all",
    ),
    "contest scoreboard": ("deepoj contest scoreboard finals", "deepoj contest scoreboard finals --html board.html"),
    "contest finalize": ("deepoj contest finalize finals --gold 1 --silver 2 --bronze 3 --comment 'Thanks to all.'",),
    "contest texts": (
        "deepoj contest texts finals --category Statements --category Machines",
        "deepoj contest texts finals --answer 'Read the statement again.' --json",
    ),
    "contest reviews": ("deepoj contest reviews finals --only to_verify", "deepoj contest reviews finals --json"),
    "contest review": (
        "deepoj contest review finals 12 verify",
        "deepoj contest review finals 12 override --verdict 'Wrong Answer' --reason 'It reads the answer file.'",
    ),
    "contest export": ("deepoj contest export finals finals.zip",),
    "contest import": (
        "deepoj contest import finals.zip --key finals2 --create-accounts",
        "deepoj contest import finals/ --create-accounts",
    ),
    "contest demo": ("deepoj contest demo", "deepoj contest demo --json"),
    "contest copy": (
        "deepoj contest copy finals finals2 --start 2026-02-07T09:00:00+08:00",
        "deepoj contest copy finals training --teams",
    ),
    "contest team": (
        "deepoj contest team finals 7 --network 10.1.0.0/16",
        "deepoj contest team finals 7 --remove",
    ),
    "contest statement": (
        "deepoj contest statement finals A problem.md --lang zh",
        "deepoj contest statement finals A --restore",
    ),
    "contest credentials": (
        "deepoj contest credentials finals --csv slips.csv",
        "deepoj contest credentials finals --apply 5f2c9a7d10b3e846",
    ),
    "contest practice": ("deepoj contest practice finals",),
    "contest rejudge": (
        "deepoj contest rejudge finals --problem A --verdict 'Wrong Answer'",
        "deepoj contest rejudge finals --apply 3",
    ),
    "contest replay": (
        "deepoj contest replay FOLDER --board board.json --json",
        "deepoj contest replay event-feed.ndjson --judge --minutes 10",
    ),
    "nodes": ("deepoj nodes", "deepoj nodes --json"),
    "dlq": ("deepoj dlq list", "deepoj dlq requeue JOB_ID --note 'the disk was full'"),
    "dlq list": ("deepoj dlq list", "deepoj dlq list --limit 10 --json"),
    "dlq show": ("deepoj dlq show JOB_ID",),
    "dlq requeue": ("deepoj dlq requeue JOB_ID --note 'the disk was full'", "deepoj dlq requeue JOB_ID JOB_ID --json"),
    "dlq discard": ("deepoj dlq discard JOB_ID --attempt 5 --note 'cannot be judged'",),
    "admin": ("deepoj admin create-user alice",),
    "admin demote-user": ("deepoj admin demote-user alice",),
    "admin disable-user": ("deepoj admin disable-user mallory", "deepoj admin disable-user mallory --json"),
    "admin erase-user": ("deepoj admin erase-user alice", "deepoj admin erase-user alice --yes --json"),
    "admin enable-user": ("deepoj admin enable-user mallory",),
    "admin list-users": ("deepoj admin list-users", "deepoj admin list-users --json"),
    "admin set-roles": ("deepoj admin set-roles alice setter jury", "deepoj admin set-roles alice"),
    "admin groups": ("deepoj admin groups list", "deepoj admin groups add 'class 7' alice bob"),
    "admin groups list": ("deepoj admin groups list", "deepoj admin groups list --json"),
    "admin groups create": ("deepoj admin groups create 'class 7'",),
    "admin groups rename": ("deepoj admin groups rename 'class 7' 'class 8'",),
    "admin groups remove": ("deepoj admin groups remove 'class 7'",),
    "admin groups add": ("deepoj admin groups add 'class 7' alice bob",),
    "admin groups take-out": ("deepoj admin groups take-out 'class 7' alice",),
    "admin set-password": ("deepoj admin set-password alice",),
    "admin create-user": ("deepoj admin create-user alice", "deepoj admin create-user alice --password-stdin --json"),
    "backup": ("deepoj backup backup",),
    "restore": ("deepoj restore backup",),
    "login": ("deepoj login http://127.0.0.1:18080",),
    "logout": ("deepoj logout",),
    "submit-batch": (
        "deepoj submit-batch night.jsonl --wait",
        "deepoj submit-batch night.jsonl --wait --output verdicts.jsonl --idempotency-key night-2",
    ),
    "cancel-batch": ("deepoj cancel-batch BATCH_ID",),
    "submit": ("deepoj submit main.cpp --problem 1 --wait", "deepoj submit main.py --contest finals --problem A"),
    "status": ("deepoj status JOB_ID", "deepoj status JOB_ID --watch"),
    "run": ("deepoj run main.cpp",),
    "problems": ("deepoj problems", "deepoj problems --difficulty easy --unsolved"),
    "languages": ("deepoj languages", "deepoj languages --json"),
    "account": ("deepoj account export account.json",),
    "account export": ("deepoj account export account.json",),
    "account tokens": ("deepoj account tokens list", "deepoj account tokens make laptop"),
    "account tokens list": ("deepoj account tokens list", "deepoj account tokens list --json"),
    "account tokens make": ("deepoj account tokens make 'nightly build'",),
    "account tokens end": ("deepoj account tokens end ID",),
    "account erase": ("deepoj account erase",),
    "config": ("deepoj config show --changed", "deepoj config reference"),
    "config show": ("deepoj config show --changed", "deepoj --config site.yaml config show --json"),
    "config reference": ("deepoj config reference", "deepoj config reference --json"),
    "completion": ('eval "$(deepoj completion bash)"', "deepoj completion fish"),
}


def with_examples(command: click.Command, path: str) -> click.Command:
    """Append the examples of ``path`` (such as ``dlq list``) to the command's help, also for its subcommands."""
    if path in EXAMPLES:
        command.epilog = "\b\nExamples:\n" + "\n".join(f"  {example}" for example in EXAMPLES[path])
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            with_examples(below, f"{path} {name}")
    return command
