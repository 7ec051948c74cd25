"""The system's page: what it shows, whom it refuses, and decisions about dead letters."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deepoj.web import symptoms
from deepoj.web.operating import Watch
from deepoj.web.render import gettext_of
from deepoj.web.shown import duration
from deepoj.words.jobs import State
from deepoj.words.outbox import OutboxPending, Priority
from deepoj.words.readiness import PartState
from deepoj.words.results import Verdict
from deepoj.words.roster import CanaryFacts, DiskUse, NodeFacts
from deepoj.words.stream import MAX_AGE_S
from tests.api.house import House, submission
from tests.api.test_dlq import dies
from tests.contract.labs import entry
from tests.fakes.system import MemorySystem
from tests.web.clicking import Person, member, pages_house

ROOT = Path(__file__).parents[2]
PAGE = "/manage/system"


@dataclass
class Scene:
    home: House
    admin: Person
    owner: Person

    async def dead(self) -> str:
        """Return the job of a dead letter."""
        job_id = await submission(self.home, await self.home.token_of("owner"), await self.home.problem())
        await dies(self.home, job_id)
        return job_id


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    home = pages_house(tmp_path)
    admin, _ = await member(home, "root", is_admin=True)
    owner, _ = await member(home, "owner")
    return Scene(home, admin, owner)


async def test_strangers_log_in_and_members_are_refused(scene: Scene) -> None:
    job_id = await scene.dead()
    for path in (PAGE, f"{PAGE}/letters/{job_id}"):
        stranger = await Person(scene.home).get(path)
        assert (stranger.status, stranger.location) == (303, f"/login?next={path}")
        assert (await scene.owner.get(path)).status == 403
    refused = await scene.owner.post(f"{PAGE}/letters/{job_id}", {"decision": "discarded", "attempt_id": "2"})
    assert refused.status == 403
    assert scene.home.store.rows[job_id].state is State.DEAD


async def test_a_quiet_system_needs_no_person(scene: Scene) -> None:
    await scene.home.store.announce("node-a", {"cpp17": "g++ <14>", "klingon": "1"}, 60.0)
    scene.home.pressed.append(scene.home.backlog.__class__(
        ts_ms=0, stream_key="s", group="g", xlen=3, pending=2, lag=1, oldest_age_ms=65_000, oldest_age_source="pending",
        approx=False,
    ))  # fmt: skip
    shown = await scene.admin.get(PAGE)
    assert shown.status == 200
    assert "No action needed." in shown.words
    assert "node-a ✓ live takes work last heard:" in shown.words
    assert "UTC – not known – 2 languages C++17 (GCC) g++ <14> klingon 1" in shown.words
    assert "Waiting 1 refused from 9 on Taken by a node and not ended 2 Oldest 1 min" in shown.words
    assert "New submissions accepted" in shown.words
    assert "There are none." in shown.words


async def test_each_symptom_names_its_section_of_the_runbook(scene: Scene) -> None:
    scene.home.parts |= {"redis": PartState.DOWN, "canary": PartState.RESTARTING, "api": PartState.UP}
    scene.home.parts |= {"sandbox": PartState.RESTARTING}
    scene.home.pressed.append(scene.home.backlog)
    shown = (await scene.admin.get(PAGE)).words
    assert "redis is not up on this node. On purpose. Runbook, section 4.1 Redis is away" in shown
    assert "canary is not up on this node. On purpose. Runbook, section 4.16 A canary fails" in shown
    assert (
        "sandbox is not up on this node. On purpose. Runbook, section 4.7 The sandbox has ended or is stopped" in shown
    )
    assert "No node judges: submissions wait. Runbook, section 4.4 No worker takes jobs" in shown
    assert "New submissions are refused: too much waits. Runbook, section 4.3 The backlog grows" in shown
    assert "New submissions refused lag" in shown
    await scene.home.store.announce("node-b", {"cpp17": "g++"}, -5.0)
    await scene.home.store.announce("node-c", {}, -5.0, NodeFacts(roles=("api",)), takes_work=False)
    shown = (await scene.admin.get(PAGE)).words
    silent = "is silent now. Runbook, section 4.25 A node is silent"
    assert f"Node node-b judged within a day and {silent}" in shown
    assert f"Node node-c (api) was there within a day and {silent}" in shown


async def test_a_node_whose_canaries_fail_is_live_and_named_with_the_canaries_section(scene: Scene) -> None:
    """As another node sees it."""
    failed = CanaryFacts(
        state=PartState.DOWN, since="2026-01-31T09:00:00+00:00", reason="nothing is judged here: abort"
    )
    facts = NodeFacts(roles=("worker",), isolation="full", canaries=failed, upkeep={"canary_failures_total: abort": 3})
    passing = NodeFacts(roles=("worker",), canaries=CanaryFacts(state=PartState.UP, since="2026-01-31T08:00:00+00:00"))
    await scene.home.store.announce("node-a", {"cpp17": "g++"}, 60.0, facts, takes_work=False)
    await scene.home.store.announce("node-b", {"cpp17": "g++"}, 60.0, passing)
    await scene.home.store.announce("node-c", {}, 60.0, NodeFacts(roles=("api",), version="9.9"), takes_work=False)
    shown = (await scene.admin.get(PAGE)).words
    assert (
        "Node node-a takes no work: its canaries fail. Nothing is judged here: abort."
        " Runbook, section 4.16 A canary fails" in shown
    )
    assert "silent" not in shown
    assert "node-a ✓ live takes no work last heard:" in shown
    assert "✗ failing since: 2026-01-31 09:00 UTC full" in shown
    assert "✓ passing since: 2026-01-31 08:00 UTC not known" in shown
    assert re.search(r"node-c ✓ live last heard: \S+ \S+ UTC – – – – 9.9 api", shown)
    assert "node-a canary_failures_total: abort 3" in shown
    assert "No node judges" not in shown


async def test_a_node_that_serves_the_page_names_its_failed_canaries_once(scene: Scene) -> None:
    scene.home.parts |= {"canary": PartState.DOWN}
    failed = CanaryFacts(state=PartState.DOWN, reason="on purpose")
    await scene.home.store.announce("node-a", {"cpp17": "g++"}, 60.0, NodeFacts(canaries=failed), takes_work=False)
    shown = (await scene.admin.get(PAGE)).words
    assert shown.count("section 4.16") == 1
    assert "No node judges: submissions wait." in shown


async def test_while_redis_is_away_the_page_says_one_thing_and_what_waits_in_the_database(scene: Scene) -> None:
    says = "Redis at 127.0.0.1:6379 cannot be used: Connection refused"
    down = {"redis": says, "dispatcher": says, "valkey": "it was killed", "canary": "2 of 42 fail"}
    scene.home.parts |= {**dict.fromkeys(down, PartState.DOWN), "database": PartState.UP}
    scene.home.reasons |= down
    scene.home.pressed.append(scene.home.backlog)
    scene.home.context.pressure.put_outage(OutboxPending({Priority.INTERACTIVE: 3, Priority.CONTEST: 4}), 65_000)
    shown = await scene.admin.get(PAGE)
    assert re.search(
        r"The queue \(Redis\) has been away for \d s . Submissions that wait in the database: 7. They are judged when"
        rf" it is back. It was killed. {re.escape(says)}. Runbook, section 4.1 Redis is away",
        shown.words,
    )
    assert shown.words.count("Redis is away") == 1
    assert "canary is not up" in shown.words
    assert "redis is not up" not in shown.words
    assert "dispatcher is not up" not in shown.words
    assert "Waiting in the database 7: contest 4, interactive 3 Oldest 1 min" in shown.words
    assert "valkey" not in shown.words
    assert re.search(r"database ✓ up", shown.words)


async def test_an_embedded_server_and_the_connection_to_it_are_one_part(scene: Scene) -> None:
    scene.home.parts |= {"redis": PartState.DOWN, "valkey": PartState.UP, "database": PartState.UP}
    shown = (await scene.admin.get(PAGE)).words
    assert "redis ✗ down" in shown
    assert "valkey" not in shown
    assert "postgres" not in shown


async def test_parts_that_are_up_are_folded_and_others_are_listed(scene: Scene) -> None:
    scene.home.parts.clear()
    scene.home.parts |= {"canary": PartState.RESTARTING, "bell": PartState.UP, "revet": PartState.UP}
    text = (await scene.admin.get(PAGE)).text.partition("<h2>This node</h2>")[2]
    listed, _, folded = text.partition("<details><summary>2 parts are up</summary>")
    assert "<code>canary</code>" in listed
    assert "bell" not in listed
    assert [name in folded for name in ("<code>bell</code>", "<code>revet</code>", "canary")] == [True, True, False]
    scene.home.parts.clear()
    scene.home.parts |= {"bell": PartState.UP}
    shown = await scene.admin.get(PAGE)
    assert "Parts that are not up" not in shown.text
    assert "This node 1 part is up" in shown.words


async def test_dispatcher_and_consumers_say_whether_they_live_and_when_they_last_worked(scene: Scene) -> None:
    shown = (await scene.admin.get(PAGE)).words
    assert "Dispatcher not on this node last sent to the queue: not known" in shown
    assert "Consumer not on this node last claimed: not known consumers alive: not known" in shown
    scene.home.parts |= {"dispatcher": PartState.UP, "consumer": PartState.RESTARTING}
    scene.home.context.pressure.consumers = 2
    job_id = await submission(scene.home, await scene.home.token_of("owner"), await scene.home.problem())
    for event in await scene.home.store.take_outbox(9, 1.0, 1.0):
        await scene.home.store.mark_delivered([(event.id, "1-1")])
    await scene.home.store.claim([entry(job_id)], "node-a", 60.0, 5)
    shown = (await scene.admin.get(PAGE)).words
    at = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    assert re.search(f"Dispatcher ✓ up last sent to the queue: {at}", shown)
    assert re.search(f"Consumer ✗ restarting last claimed: {at} 2 consumers alive", shown)


@pytest.mark.parametrize(("lag", "age_ms", "is_said"), [(0, 30_000, True), (0, 29_999, False), (1, 30_000, False)])
async def test_events_that_are_not_dispatched_are_a_symptom(
    scene: Scene, lag: int, age_ms: int, *, is_said: bool
) -> None:
    outbox = OutboxPending({Priority.INTERACTIVE: 1}, age_ms)
    scene.home.pressed.append(replace(scene.home.backlog, lag=lag, outbox=outbox))
    assert ("none is sent to the queue" in (await scene.admin.get(PAGE)).words) is is_said


@pytest.mark.parametrize(("age_ms", "is_said"), [(120_001, True), (120_000, False)])
async def test_a_submission_that_is_unfinished_for_long_is_a_symptom(
    scene: Scene, age_ms: int, *, is_said: bool
) -> None:
    scene.home.pressed.append(replace(scene.home.backlog, ts_ms=age_ms, lag=1, oldest_age_ms=age_ms))
    shown = (await scene.admin.get(PAGE)).words
    assert ("The oldest unfinished submission has waited or run for" in shown) is is_said
    rules = (Path(__file__).parents[2] / "deploy/observability/rules.yaml").read_text()
    assert f"max(oldest_age_seconds) > {MAX_AGE_S}\n" in rules, "the page and the alert have one figure"


@pytest.mark.parametrize(
    ("consumers", "xlen", "is_said"), [(0, 1, True), (1, 1, False), (0, 0, False), (None, 1, False)]
)
async def test_work_that_no_node_reads_is_a_symptom(
    scene: Scene, consumers: int | None, xlen: int, *, is_said: bool
) -> None:
    scene.home.pressed.append(replace(scene.home.backlog, lag=1, xlen=xlen, consumers=consumers))
    assert ("no judge node reads the queue" in (await scene.admin.get(PAGE)).words) is is_said


@pytest.mark.parametrize(
    ("free_bytes", "total_bytes", "is_said"),
    [
        (5 * 1024**3, 100 * 1024**3, False),
        (5 * 1024**3 - 1, 100 * 1024**3, True),
        (1024**3, 2 * 1024**3, False),
        (100 * 1024**2, 1000 * 1024**2, False),
        (100 * 1024**2 - 1, 1000 * 1024**2, True),
    ],
)
async def test_a_full_disk_is_a_symptom(scene: Scene, free_bytes: int, total_bytes: int, *, is_said: bool) -> None:
    disk = DiskUse(directory="work", free_bytes=free_bytes, total_bytes=total_bytes)
    await scene.home.store.announce("node-a", {"cpp17": "g++"}, 60.0, NodeFacts(disks=(disk,)))
    shown = (await scene.admin.get(PAGE)).words
    assert ("A disk of node node-a is" in shown) is is_said
    assert ("section 4.12 The disk is full" in shown) is is_said


@pytest.mark.parametrize(
    ("lag", "pending", "consumers", "is_said"), [(0, 1, 1, True), (2, 0, 1, True), (2, 0, 0, False), (0, 0, 1, False)]
)
async def test_entries_that_no_node_claims_are_named_after_seconds(
    scene: Scene, lag: int, pending: int, consumers: int, *, is_said: bool
) -> None:
    watch, says = Watch(scene.home.context), "no node has claimed one for"

    async def look(at_s: int) -> bool:
        """Read a snapshot that was taken then."""
        snapshot = replace(
            scene.home.backlog, ts_ms=at_s * 1000, lag=lag, pending=pending, consumers=consumers, xlen=lag + pending
        )
        scene.home.pressed[:] = [snapshot]
        await watch.read()
        return any(says in one.sentence and one.section == symptoms.NO_WORKER for one in watch.values()["symptoms"])

    assert not await look(100)
    assert not await look(100), "the same snapshot, looked at again"
    assert not await look(105), "a claim may fall between the readings of two stores"
    assert await look(110) is is_said
    job_id = await submission(scene.home, await scene.home.token_of("owner"), await scene.home.problem())
    await scene.home.store.claim([entry(job_id)], "node-a", 60.0, 5)
    assert not await look(120), "a node has claimed one, and all that is pending is in processing"


async def test_entries_of_running_submissions_and_recent_claims_are_no_symptom(scene: Scene) -> None:
    watch, home = Watch(scene.home.context), scene.home
    for at_s in range(100, 160, 5):
        home.pressed.clear()
        job_id = await submission(home, await home.token_of("owner"), await home.problem())
        await home.store.claim([entry(job_id)], "node-a", 60.0, 5)
        running = len(await home.context.system.running_jobs(100))
        home.pressed[:] = [replace(home.backlog, ts_ms=at_s * 1000, lag=9, pending=running + 2, consumers=1)]
        await watch.read()
    assert not any("claimed" in one.sentence for one in watch.values()["symptoms"])


async def test_node_that_cannot_judge_is_named_with_the_section_of_its_part(scene: Scene) -> None:
    facts = NodeFacts(not_up={"sandbox": "a run is overdue", "objects": "no route to S3"})
    await scene.home.store.announce("node-a", {"cpp17": "g++"}, 60.0, facts)
    await scene.home.store.announce("node-b", {"cpp17": "g++"}, -5.0, facts)
    shown = (await scene.admin.get(PAGE)).words
    section = symptoms.SANDBOX
    assert f"Node node-a cannot judge: sandbox is not up. A run is overdue. Runbook, section {section}" in shown
    assert f"objects is not up. No route to S3. Runbook, section {symptoms.OBJECTS}" in shown
    assert "Node node-b cannot judge" not in shown, "a silent node is named as silent"


async def test_part_that_the_node_of_the_page_names_is_not_named_again_for_the_same_reason(scene: Scene) -> None:
    scene.home.parts |= {"sandbox": PartState.DOWN, "objects": PartState.DOWN}
    scene.home.reasons |= {"sandbox": "stopped: 7", "objects": "no route"}
    own, other = {"sandbox": "stopped: 7", "objects": "reset"}, {"sandbox": "stopped: 9", "redis": "Redis at x is away"}
    await scene.home.store.announce("node-a", {"cpp17": "g++"}, 60.0, NodeFacts(not_up=own))
    await scene.home.store.announce("node-b", {"cpp17": "g++"}, 60.0, NodeFacts(not_up=other))
    shown = (await scene.admin.get(PAGE)).words
    assert "node-a cannot judge" not in shown
    assert "Node node-b cannot judge: sandbox is not up. Stopped: 9." in shown
    assert "Node node-b cannot judge: redis is not up." in shown
    scene.home.context.pressure.put_outage(OutboxPending({}), None)
    shown = (await scene.admin.get(PAGE)).words
    assert "cannot judge: redis" not in shown, "the outage says it for all nodes"
    assert "takes work sandbox is not up redis is not up" in shown, "the table of nodes"


@pytest.mark.parametrize(
    ("free_files", "total_files", "is_said"),
    [(10_000, 10**7, False), (9_999, 10**7, True), (50, 1000, False), (49, 1000, True), (0, 0, False)],
)
async def test_a_disk_with_room_for_few_files_is_a_symptom(
    scene: Scene, free_files: int, total_files: int, *, is_said: bool
) -> None:
    disk = DiskUse(
        directory="work",
        free_bytes=9 * 1024**3,
        total_bytes=10 * 1024**3,
        free_files=free_files,
        total_files=total_files,
    )
    await scene.home.store.announce("node-a", {"cpp17": "g++"}, 60.0, NodeFacts(disks=(disk,)))
    shown = (await scene.admin.get(PAGE)).words
    assert (f"A disk of node node-a has room for {free_files} more files only (inodes)." in shown) is is_said
    assert ("section 4.12 The disk is full" in shown) is is_said


@pytest.mark.parametrize(
    ("off_s", "says"),
    [(5, None), (-5, None), (9, "9 s ahead of the database's."), (-3600, "3600 s behind the database's.")],
)
async def test_a_clock_that_is_off_is_a_symptom(scene: Scene, off_s: int, says: str | None) -> None:
    store = scene.home.store
    clock = store._dated(store.clock()) + dt.timedelta(seconds=off_s)
    await store.announce("node-a", {"cpp17": "g++"}, 60.0, NodeFacts(clock=clock.isoformat()))
    shown = (await scene.admin.get(PAGE)).words
    assert (f"The clock of node node-a is {says} Runbook, section 4.11 Clocks apart" in shown) is (says is not None)
    assert ("The clock of node" in shown) is (says is not None)


async def test_a_backup_that_is_old_or_missing_is_a_symptom(scene: Scene) -> None:
    system, store = scene.home.context.system, scene.home.store
    assert isinstance(system, MemorySystem)
    section, limit_s = "Runbook, section 4.26 No backup of late", 48 * 3600.0
    for age_s, says in ((limit_s, False), (limit_s + 1, True)):
        system.database_age_s = age_s
        assert (f"No backup was ever made by deepoj backup. {section}" in (await scene.admin.get(PAGE)).words) is says
    await store.record_backup("/backups/1", 3, by="root (deepoj backup)")
    assert "4.26" not in (await scene.admin.get(PAGE)).words
    now = store.clock()
    store.clock = lambda: now + limit_s + 60
    assert re.search(rf"The last backup is 2 d [^.]*old\. {section}", (await scene.admin.get(PAGE)).words)


async def test_a_node_that_missed_two_announcements_is_silent_although_its_lease_is_valid(scene: Scene) -> None:
    store = scene.home.store
    now = at = store.clock()
    store.clock = lambda: at
    await store.announce("node-a", {"cpp17": "g++"}, 30.0)
    for later_s, is_silent in ((10.9, False), (11.1, True)):
        at = now + later_s
        shown = (await scene.admin.get(PAGE)).words
        assert ("Node node-a judged within a day and is silent now." in shown) is is_silent
        assert ("No node judges: submissions wait." in shown) is is_silent
        assert ("node-a ✗ silent" in shown) is is_silent


async def test_a_waiting_submission_is_said_to_be_safe_while_redis_is_away(scene: Scene) -> None:
    job_id = await submission(scene.home, await scene.home.token_of("owner"), await scene.home.problem())
    safe = "It is stored safely. Judging is delayed at the moment"
    assert safe not in (await scene.owner.get(f"/submissions/{job_id}")).words
    scene.home.context.pressure.put_outage(OutboxPending({}), None)
    assert safe in (await scene.owner.get(f"/submissions/{job_id}")).words
    await scene.home.store.claim([entry(job_id)], "node-a", 60.0, 5)
    assert safe not in (await scene.owner.get(f"/submissions/{job_id}")).words, "a node has it"


async def test_a_waiting_submission_tells_operators_why_and_leads_to_the_system(scene: Scene) -> None:
    job_id = await submission(scene.home, await scene.home.token_of("owner"), await scene.home.problem())
    path, why = f"/submissions/{job_id}", "No node judges: submissions wait."
    shown = await scene.admin.get(path)
    assert why in shown.words
    assert '<a class="of" href="/manage/system">System</a>' in shown.text
    assert why not in (await scene.owner.get(path)).words
    await scene.home.store.claim([entry(job_id)], "node-a", 60.0, 5)
    assert why not in (await scene.admin.get(path)).words, "a node has it"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_sections_are_headings_of_the_runbook(language: str) -> None:
    runbook = (ROOT / "deploy" / ("runbook.md" if language == "en" else "runbook.zh.md")).read_text()
    headings = set(re.findall(r"(?m)^### (.*)$", runbook))
    sections = {text for text in vars(symptoms).values() if isinstance(text, str) and re.match(r"4\.\d+ ", text)}
    assert len(sections) == 13
    assert {gettext_of(language)(section) for section in sections} <= headings


async def test_a_dead_letter_is_requeued_from_the_list(scene: Scene) -> None:
    job_id = await scene.dead()
    shown = await scene.admin.get(PAGE)
    assert "BoxBroken: x" in shown.words
    assert "Runbook, section 4.15 Dead letters" in shown.words
    attempt = re.search(r'name="attempt_id" value="(\d+)"', shown.text)
    assert attempt is not None
    done = await scene.admin.post(f"{PAGE}/letters/{job_id}", {"decision": "requeued", "attempt_id": attempt[1]})
    assert (done.status, done.location) == (303, f"{PAGE}?done=requeued")
    assert "The dead letter is requeued" in (await scene.admin.get(done.location)).words
    row = scene.home.store.rows[job_id]
    assert (row.state, row.judging_attempts) == (State.PENDING, 0)


async def test_a_dead_letter_is_discarded_on_its_own_page(scene: Scene) -> None:
    job_id = await scene.dead()
    shown = await scene.admin.get(f"{PAGE}/letters/{job_id}")
    assert "Its verdict becomes System Error, finally; its author sees that." in shown.words
    assert "after 2 attempts" in shown.words
    assert '<a href="/runbook/4#415-dead-letters"><cite>4.15 Dead letters</cite></a>' in shown.text
    fields = {"decision": "discarded", "attempt_id": "2", "note": "the host <is> gone"}
    assert (await scene.admin.post(f"{PAGE}/letters/{job_id}", fields)).location == f"{PAGE}?done=discarded"
    row = scene.home.store.rows[job_id]
    assert (row.state, row.status) == (State.DONE, Verdict.SYSTEM_ERROR)
    assert scene.home.store.ledger[-1].detail == "the host <is> gone"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"decision": "deleted", "attempt_id": "2"}, 400),
        ({"decision": "discarded", "attempt_id": ""}, 400),
        ({"decision": "discarded", "attempt_id": "1"}, 409),
        ({"decision": "discarded", "attempt_id": "2", "note": "<b>" * 200}, 400),
    ],
)
async def test_a_refused_decision_keeps_the_note_and_changes_nothing(
    scene: Scene, fields: dict[str, str], status: int
) -> None:
    job_id = await scene.dead()
    await scene.admin.get(f"{PAGE}/letters/{job_id}")
    shown = await scene.admin.post(f"{PAGE}/letters/{job_id}", {"note": "<why>", **fields})
    assert shown.status == status
    assert 'role="alert"' in shown.text
    assert "&lt;why&gt;" in shown.text or "&lt;b&gt;" in shown.text
    assert scene.home.store.rows[job_id].state is State.DEAD


async def test_a_decision_needs_the_form_token_of_the_visitor(scene: Scene) -> None:
    job_id = await scene.dead()
    for token in ("", "forged", scene.owner.form_token):
        fields = {"decision": "discarded", "attempt_id": "2"}
        assert (await scene.admin.post(f"{PAGE}/letters/{job_id}", fields, form_token=token)).status == 403
    assert scene.home.store.rows[job_id].state is State.DEAD


async def test_a_letter_that_is_gone_is_said_so(scene: Scene) -> None:
    job_id = await scene.dead()
    fields = {"decision": "requeued", "attempt_id": "2"}
    await scene.admin.get(PAGE)
    assert (await scene.admin.post(f"{PAGE}/letters/{job_id}", fields)).status == 303
    again = await scene.admin.post(f"{PAGE}/letters/{job_id}", {**fields, "decision": "discarded"})
    assert again.status == 409
    assert "not, or no longer, a dead letter" in again.words
    assert (await scene.admin.get(f"{PAGE}/letters/{job_id}")).status == 404


async def test_dead_letters_in_pages(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepoj.web.pages.system._PAGE", 2)
    jobs = [await scene.dead() for _ in range(3)]
    first = await scene.admin.get(PAGE)
    assert [job_id for job_id in jobs if f"/letters/{job_id}" in first.text] == jobs[1:]
    older = re.search(r'rel="next" href="([^"]*)"', first.text)
    assert older is not None
    second = await scene.admin.get(older[1])
    assert [job_id for job_id in jobs if f"/letters/{job_id}" in second.text] == jobs[:1]
    assert 'rel="next"' not in second.text


async def test_the_page_in_chinese(scene: Scene) -> None:
    admin, _ = await member(scene.home, "admin2", is_admin=True, language="zh")
    await scene.dead()
    shown = await admin.get(PAGE)
    assert 'lang="zh-CN"' in shown.text
    assert "4.15 死信" in shown.words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (61, "1 min"), (3600, "1 h"), (11_100, "3 h 5 min"), (176_400, "2 d 1 h")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
