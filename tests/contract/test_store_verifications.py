"""The contract of ``ports.Verifications`` and ``ports.ExampleLeases``."""

from __future__ import annotations

from dataclasses import replace

from deepoj.judging.problem import Example, Points
from deepoj.judging.promises import Kept
from deepoj.judging.verifications import (
    ExampleDraft,
    ExampleOutcome,
    Verification,
    VerificationDraft,
    VerificationState,
    WorstTime,
    example_of_json,
)
from deepoj.words.admin_events import AdminAct
from deepoj.words.background import SetterQuota
from deepoj.words.problems import Problem, ProblemChange
from deepoj.words.sources import SourceFile, Sources
from deepoj.words.verifications import ExampleClaim, VerificationRefusal
from tests.contract.labs import Lab, new_problem, new_user

LEASE_S, ATTEMPTS, WAIT_S = 60.0, 2, 600.0
LANGUAGES = ("cpp17", "python3")
GOOD = ExampleOutcome(
    kept=Kept.OK,
    why="\0 \ud800",
    status="Accepted",
    score=100.0,
    slowest_test="2",
    time_ms=70,
    memory_kb=900,
    tests=(("1", 5), ("2", 70)),
)
BAD = ExampleOutcome(kept=Kept.DIFFERS, why="Wrong Answer", status="Wrong Answer", score=0.0, tests=(("1", 900),))


def submission(name: str, language: str = "cpp17", *, why: str = "") -> ExampleDraft:
    """Return a submission of several files, with a promise of a verdict and a score; one with ``why`` is skipped."""
    scores = (1.0, 2.5), (100.0, 100.0)
    example = Example(
        name=name, language=language, files=(name,), entry=name, expected=("Accepted",), expected_scores=scores
    )
    sources = Sources(code=f"// {name}", entry_point="a.cpp", beside=(SourceFile("b.h", "\0ä"),))
    return ExampleDraft(example=example, language=language, sources=None if why else sources, why=why)


def verification(problem: Problem, *examples: ExampleDraft) -> VerificationDraft:
    return VerificationDraft(
        problem_id=problem.id,
        problem_version=problem.version,
        points=Points.LEGACY,
        examples=examples
        or (submission("one"), submission("two", "python3"), submission("odd", "", why="no language")),
        left_out=7,
        time_factor=2.5,
        time_resolution_ms=100,
    )


async def started(lab: Lab, *examples: ExampleDraft) -> Problem:
    problem = await new_problem(lab.store)
    assert await lab.store.verifications.start_verification(verification(problem, *examples), by="root") is None
    return problem


async def newest(lab: Lab, problem: Problem) -> Verification:
    return (await lab.store.verifications.verifications(problem.id))[0]


async def claimed(lab: Lab, *languages: str) -> ExampleClaim | None:
    return await lab.store.example_leases.claim("node", LEASE_S, ATTEMPTS, languages or LANGUAGES)


async def must_claim(lab: Lab) -> ExampleClaim:
    found = await claimed(lab)
    assert found is not None
    return found


async def sweep(lab: Lab) -> int:
    return await lab.store.example_leases.sweep_verifications(ATTEMPTS, WAIT_S)


async def test_a_verification_is_judged_and_read_back(lab: Lab) -> None:
    problem, store, leases = await started(lab), lab.store.verifications, lab.store.example_leases
    first = await newest(lab, problem)
    assert (first.state, first.total, first.ended, first.skipped) == (VerificationState.RUNNING, 3, 1, 1)
    assert (first.problem_version, first.time_limit_ms, first.left_out) == (3, 1500, 7)
    assert (first.time_factor, first.time_resolution_ms) == (2.5, 100)
    one = await must_claim(lab)
    assert (one.place, one.attempt_id, one.points, one.code) == (1, 1, "legacy", "// one")
    assert (example_of_json(one.example), one.entry_point) == (submission("one").example, "a.cpp")
    assert [file.name for file in one.beside] == ["b.h"]
    assert await sweep(lab) == 0
    for _ in range(2):  # a second try after a lost answer
        assert await leases.finish(one, GOOD)
    two = await must_claim(lab)
    assert await leases.finish(two, BAD)
    assert await claimed(lab) is None
    assert await sweep(lab) == 1
    done = await newest(lab, problem)
    assert (done.state, done.ended, done.matched, done.differing) == (VerificationState.DONE, 3, 1, 1)
    assert done.finished_at is not None
    shown = await store.verified_examples(done.id)
    assert [(row.example.name, row.state, row.kept) for row in shown] == [
        ("one", "done", Kept.OK), ("two", "done", Kept.DIFFERS), ("odd", "done", Kept.SKIPPED)
    ]  # fmt: skip
    assert (shown[0].status, shown[0].score, shown[0].slowest_test) == ("Accepted", 100.0, "2")
    assert (shown[0].time_ms, shown[0].memory_kb, shown[2].why) == (70, 900, "no language")
    assert await store.worst_times(done.id, 9) == [WorstTime("2", 70, "one"), WorstTime("1", 5, "one")]
    assert len(await store.worst_times(done.id, 1)) == 1


async def test_it_is_no_submission_of_anybody(lab: Lab) -> None:
    problem = await started(lab)
    assert await lab.store.lists.verdict_counts(problem.id, 9) == []
    assert await lab.store.rejudges.order_rejudge(problem.id, by="root", in_full=True) is not None
    await must_claim(lab)
    assert await lab.store.problems.delete_problem(problem.id) is None
    assert await lab.store.verifications.verifications(problem.id) == []


async def test_a_second_start_goes_on_and_one_of_another_version_replaces_it(lab: Lab) -> None:
    problem, store = await started(lab), lab.store.verifications
    assert await store.start_verification(verification(problem), by="root") is None
    assert len(await store.verifications(problem.id)) == 1
    assert (
        await store.start_verification(replace(verification(problem), problem_id=99_999))
        is VerificationRefusal.OUTDATED
    )
    held = await must_claim(lab)
    changed = await lab.store.problems.update_problem(problem.id, ProblemChange(time_limit_ms=77))
    assert changed is not None
    assert await store.start_verification(verification(problem)) is VerificationRefusal.OUTDATED, (
        "its package may be another one"
    )
    assert await store.start_verification(verification(changed), by="root") is None
    assert not await lab.store.example_leases.finish(held, GOOD)
    assert [(one.state, one.problem_version) for one in await store.verifications(problem.id)] == [
        (VerificationState.RUNNING, changed.version)
    ]
    acts = [(event.act, event.details) for event in await lab.store.admin_events.admin_events(9)]
    assert acts == [(AdminAct.PROBLEM_VERIFIED, {"version": version}) for version in (changed.version, 3)]


async def test_a_setter_has_a_quota_of_running_ones(lab: Lab) -> None:
    store, like = lab.store.verifications, await new_problem(lab.store)
    setter, other = await new_user(lab.store, "setter"), await new_user(lab.store, "other")
    problems = []
    for owner in (setter, setter, setter, other):
        number = await lab.store.problems.reserve_problem_id()
        problems.append(replace(like, id=number, created_by=owner))
        await lab.store.problems.insert_problem(problems[-1])
    quota = SetterQuota(setter, 2)

    async def room() -> list[bool]:
        """For each problem, whether a verification may be started."""
        return [await store.has_verification_room(one.id, one.version, quota) for one in problems]

    first, second, third, theirs = (verification(problem) for problem in problems)
    assert await store.start_verification(theirs) is None, "one of another setter is not counted"
    assert await store.start_verification(first, quota=quota) is None
    assert await room() == [True] * 4
    assert await store.start_verification(second, quota=quota) is None
    assert await room() == [True, True, False, True], "those that run go on"
    assert await store.start_verification(third, quota=quota) is VerificationRefusal.TOO_MANY
    assert await store.start_verification(second, quota=quota) is None, "it goes on"
    changed = await lab.store.problems.update_problem(first.problem_id, ProblemChange(time_limit_ms=77))
    assert changed is not None
    assert await store.has_verification_room(changed.id, changed.version, quota)
    assert not await store.has_verification_room(problems[2].id, problems[2].version, quota)
    assert await store.start_verification(verification(changed), quota=quota) is None, "it takes its own place"
    assert await store.start_verification(third, quota=quota) is VerificationRefusal.TOO_MANY
    assert await store.start_verification(third) is None, "without a quota"
    for problem in problems[:3]:
        await store.cancel_verification(problem.id)
    assert await store.start_verification(third, quota=quota) is None


async def test_a_change_of_the_problem_ends_it(lab: Lab) -> None:
    problem = await started(lab)
    await lab.store.problems.update_problem(problem.id, ProblemChange(title="new"))
    assert await sweep(lab) == 0
    held = await must_claim(lab)
    await lab.store.problems.update_problem(problem.id, ProblemChange(memory_limit_mb=1))
    assert await sweep(lab) == 1
    assert (await newest(lab, problem)).state is VerificationState.OUTDATED
    assert not await lab.store.example_leases.extend(held, LEASE_S)
    assert await claimed(lab) is None


async def test_only_the_newest_and_the_newest_completed_are_kept(lab: Lab) -> None:
    problem, store = await started(lab, submission("x", why="skipped")), lab.store.verifications
    assert await sweep(lab) == 1
    for _ in range(3):
        assert await store.start_verification(verification(problem)) is None
        assert await store.cancel_verification(problem.id)
    assert not await store.cancel_verification(problem.id)
    states = [one.state for one in await store.verifications(problem.id)]
    assert states == [VerificationState.CANCELLED, VerificationState.DONE]
    assert await store.start_verification(verification(problem, submission("x", why="skipped"))) is None
    assert await sweep(lab) == 1
    assert await store.start_verification(verification(problem)) is None
    assert len(await store.verifications(problem.id)) == 2


async def test_a_cancelled_one_is_refused_every_outcome(lab: Lab) -> None:
    problem, leases = await started(lab), lab.store.example_leases
    held = await must_claim(lab)
    assert await leases.extend(held, LEASE_S)
    assert await lab.store.verifications.cancel_verification(problem.id)
    assert not await leases.extend(held, LEASE_S)
    assert not await leases.finish(held, GOOD)
    assert not await leases.give_back(held, counts=True, delay_s=0)
    assert await claimed(lab) is None
    shown = await lab.store.verifications.verified_examples((await newest(lab, problem)).id)
    assert [row.kept for row in shown] == [None, None, Kept.SKIPPED]


async def test_a_node_that_died_is_replaced_and_a_submission_that_kills_nodes_ends(lab: Lab) -> None:
    problem, leases = await started(lab, submission("killer")), lab.store.example_leases
    dead = await must_claim(lab)
    assert await claimed(lab) is None
    lab.advance(LEASE_S + 1)
    again = await must_claim(lab)
    assert (again.attempt_id, again.attempts) == (2, 2)
    assert not await leases.finish(dead, GOOD)
    assert await sweep(lab) == 0
    lab.advance(LEASE_S + 1)
    assert await claimed(lab) is None, "its attempts are used up"
    assert not await leases.finish(again, GOOD), "its lease is over"
    assert await sweep(lab) == 1
    done = await newest(lab, problem)
    assert (done.state, done.differing) == (VerificationState.DONE, 1)
    [row] = await lab.store.verifications.verified_examples(done.id)
    assert "not judged" in row.why


async def test_what_is_given_back_is_due_after_its_pause(lab: Lab) -> None:
    await started(lab, submission("one"))
    leases = lab.store.example_leases
    for _ in range(ATTEMPTS + 1):
        assert await leases.give_back(await must_claim(lab), counts=False, delay_s=0)
    held = await must_claim(lab)
    assert held.attempts == 1
    assert await leases.give_back(held, counts=True, delay_s=30)
    assert not await leases.give_back(held, counts=True, delay_s=30)
    assert await claimed(lab) is None
    lab.advance(31)
    assert await claimed(lab) is None, "another node may take it a minute earlier"
    lab.advance(60)
    assert (await must_claim(lab)).attempts == 2


async def test_a_node_that_failed_leaves_the_next_attempt_to_another(lab: Lab) -> None:
    problem = await started(lab, submission("one"), submission("two"))
    leases = lab.store.example_leases
    for place in (1, 2):
        claim = await leases.claim("broken", LEASE_S, ATTEMPTS, LANGUAGES)
        assert claim is not None
        assert claim.place == place
        assert await leases.give_back(claim, counts=True, delay_s=2)
    lab.advance(3)
    assert await leases.claim("broken", LEASE_S, ATTEMPTS, LANGUAGES) is None
    again = await must_claim(lab)
    assert (again.place, again.attempts) == (1, 2)
    assert await leases.finish(again, GOOD)
    lab.advance(60)
    last = await leases.claim("broken", LEASE_S, ATTEMPTS, LANGUAGES)
    assert last is not None
    assert (last.place, last.attempts) == (2, 2)
    assert (await newest(lab, problem)).state is VerificationState.RUNNING


async def test_a_language_that_no_node_has_ends_the_wait_in_the_end(lab: Lab) -> None:
    problem = await started(lab, submission("one", "go"), submission("two"))
    held = await must_claim(lab)
    assert held.place == 2
    lab.advance(WAIT_S / 2)
    assert await lab.store.example_leases.give_back(held, counts=False, delay_s=0) is False
    assert await lab.store.example_leases.finish(await must_claim(lab), GOOD)
    lab.advance(WAIT_S / 2 + 1)
    assert await sweep(lab) == 0, "it has changed since"
    lab.advance(WAIT_S / 2)
    assert await sweep(lab) == 0, "no node takes work now: that time does not pass"
    lab.advance(WAIT_S - 1)
    await lab.store.roster.announce("node", {"cpp17": "g++"}, WAIT_S)
    assert await sweep(lab) == 0
    lab.advance(2)
    assert await sweep(lab) == 1
    done = await newest(lab, problem)
    assert (done.state, done.skipped, done.matched) == (VerificationState.DONE, 1, 1)
    found = await lab.store.verifications.verified_examples(done.id)
    assert found[0].why == "no judge node has the language go"
