"""The scoring of one submission: which test is next, which tests are skipped, and the result."""

from __future__ import annotations

import math
from collections.abc import Iterator

from deepoj.judging.problem import Accepts, Aggregate, Group, Plan, Points
from deepoj.judging.scoring.absolute import AbsoluteScores
from deepoj.judging.scoring.faults import fault_of
from deepoj.judging.scoring.outcome import OURS, PASSED, Graded, Outcome, Skipped, tidy
from deepoj.judging.scoring.tree import GroupTree
from deepoj.judging.scoring.worth import Worth
from deepoj.words.results import GroupResult, Verdict


class Scoring:
    """The scoring of one submission: ``next`` names the test to run, ``record`` takes its verdict.

    Raises (by the constructor):
      ValueError: the plan cannot be scored (``fault_of``).
    """

    def __init__(self, plan: Plan) -> None:
        if (fault := fault_of(plan)) is not None:
            raise ValueError(fault)
        self._plan, self._tree = plan, GroupTree(plan)
        self._worth = Worth(plan, self._tree)
        self._graded: dict[int, Graded] = {}
        #: the position of ``next`` in the tree's order
        self._at = 0
        #: groups with a test that was not accepted or was skipped
        self._refused: set[str] = set()
        #: whether a test that counts has failed; it decides the verdict where the score is 0
        self._failed = False
        #: groups whose result is settled: their remaining tests cannot change it
        self._lost: set[str] = set()
        #: groups that have ended early, and the test that ended them
        self._ended: dict[str, int] = {}
        self._left_out: dict[tuple[str, str, str], int] = {}
        #: computes scores where points are absolute; None where they are shares
        self._absolute = None if plan.points is Points.SHARES else AbsoluteScores(plan, self._tree, self._graded)
        #: groups whose result a grader computes, with the place of their last test in the order; the innermost first
        place = {case: place for place, case in enumerate(self._tree.order)}
        self._with_grader = tuple(
            (group, max((place[case] for case in self._tree.counting(group.name)), default=-1))
            for group in reversed(self._tree.groups)
            if group.grader_args is not None
        )

    def worth(self, case: int) -> float:
        """Return the points of the test if it is accepted."""
        return self._worth.of_case[case]

    def next(self, *, hurry: bool = False) -> int | None:
        """Return the next test by its index in the plan; None: there is no more. The same test is returned until it is
        recorded. ``hurry``: skip settled tests for good."""
        order = self._tree.order
        while self._at < len(order):
            case = order[self._at]
            if case not in self._graded:
                if self.ungraded() is not None:  # what is left out may depend on that group's grader
                    return case
                why = self._why_left_out(case)
                if why is not None:
                    self._left_out[why] = self._left_out.get(why, 0) + 1
                    if self._absolute is None:
                        self._not_accepted(case, counts_as=None, share=0.0)
                    else:
                        self._not_passed(case, scoreless=False)
                elif not (hurry and self.is_settled(case)):
                    return case
            self._at += 1
        return None

    def upcoming(self, *, hurry: bool = False) -> Iterator[int]:
        """Yield the tests that are still to be judged, in order, as far as the results so far tell."""
        for at in range(self._at, len(self._tree.order)):
            case = self._tree.order[at]
            is_left_out = case in self._graded or self._why_left_out(case) is not None
            if not is_left_out and not (hurry and self.is_settled(case)):
                yield case

    def is_settled(self, case: int) -> bool:
        """Return whether the test can no longer change the verdict or the score, with any verdict of its own."""
        groups = self._tree.above(case)
        if (
            not self._failed
            or self._with_grader
            or any(group.name in self._tree.needed and group.name not in self._refused for group in groups)
        ):
            return False
        if self._plan.scored or self._absolute is not None:
            return any(group.name in self._lost for group in groups)
        return True

    def record(self, case: int, verdict: Verdict, points: float | None = None) -> Graded:
        """Record a test's verdict and points. ``points``: given by the checker, out of the test's worth; None: all or
        nothing.

        The verdict follows the points: a part of them is Partial, all of them Accepted, none Wrong Answer. Points of a
        test that failed for another reason are ignored. In an unscored problem Partial is Wrong Answer.
        """
        if self._absolute is not None:
            return self._record_absolute(self._absolute, case, verdict, points)
        graded = self._graded[case] = _grade(verdict, points, self.worth(case), scored=self._plan.scored)
        if graded.status is not Verdict.ACCEPTED:
            self._failed = self._failed or not any(group.ignored for group in self._tree.above(case))
            self._not_accepted(case, counts_as=graded.status, share=self._share_of(case))
        return graded

    def _record_absolute(self, absolute: AbsoluteScores, case: int, verdict: Verdict, points: float | None) -> Graded:
        graded = self._graded[case] = absolute.grade(case, verdict, points)
        if graded.status not in PASSED:
            self._failed = self._failed or not any(group.ignored for group in self._tree.above(case))
            self._not_passed(case, scoreless=self._plan.cases[case].reject_score == 0)
        return graded

    def points_fault(self, case: int, verdict: Verdict, points: float | None, share: float | None) -> str | None:
        """Return why a validator may not give these points to the test, as a sentence; None if it may."""
        if self._absolute is None or not self._plan.scored:
            return None
        return self._absolute.points_fault(case, verdict, points, share)

    def ungraded(self) -> tuple[Group, tuple[Graded, ...]] | None:
        """Return a group that awaits its grader, because none of its tests is still to be judged, with the results of
        its members. To be called after ``next``, and before its test is judged: with the group's result ``next`` may
        name another one. None: there is no such group."""
        if self._absolute is None or not self._with_grader:
            return None
        if any(graded.status in OURS for graded in self._graded.values()):
            return None
        for group, last in self._with_grader:
            if last < self._at and not self._absolute.has_grade(group.name):
                results = self._absolute.results(group.name)
                if results:
                    return group, results
        return None

    def grade(self, group: str, graded: Graded) -> None:
        """Record the result that a grader has computed for a group."""
        if self._absolute is not None:
            self._absolute.set_grade(group, graded)

    def outcome(self) -> Outcome:
        """Return the result so far. Tests that were not judged have no points."""
        if self._absolute is not None:
            return self._absolute_outcome(self._absolute)
        whole = tidy(self._worth.of_group[""])
        score = 0.0
        failed: int | None = None
        counting = self._tree.counting("")
        if any(graded.status in OURS for graded in self._graded.values()):
            status, decided_by = Verdict.SYSTEM_ERROR, "no_verdict"
        elif all(self._is_accepted(case) for case in counting):
            status, score, decided_by = Verdict.ACCEPTED, whole, "all_accepted"
        # A test that does not count may still be the reason why no counting test was judged.
        elif (failed := self._first_failed((*counting, *self._tree.order))) is None:
            status, decided_by = Verdict.SYSTEM_ERROR, "no_verdict"
        else:
            score = tidy(self._share_of(self._tree.root) * whole) if self._plan.scored else 0.0
            status, decided_by = Verdict.PARTIAL, "score"
            if score == 0:
                status, decided_by = self._verdict_of(failed), "first_failed"
        return Outcome(
            status=status,
            score=score,
            max_score=whole,
            decided_by=decided_by,
            failed=failed,
            groups=self._group_results() if self._plan.scored or self._plan.groups else (),
            skipped=self._skipped(),
        )

    def _absolute_outcome(self, absolute: AbsoluteScores) -> Outcome:
        counting = self._tree.counting("")
        verdict = absolute.verdict("")
        failed = next((case for case in counting if self._fails(case)), None)
        status, score, decided_by = Verdict.SYSTEM_ERROR, 0.0, "no_verdict"
        is_complete = self._at == len(self._tree.order) or all(case in self._graded for case in counting)
        if any(graded.status in OURS for graded in self._graded.values()) or verdict is None or not is_complete:
            failed = None
        elif verdict is Verdict.ACCEPTED:
            status, score, decided_by = absolute.result("", verdict)
            if decided_by == "first_failed" and failed is not None:
                status = self._graded[failed].status
            failed = None if decided_by == "all_accepted" else failed
        else:
            status, decided_by = verdict, "first_failed"
            failed = next(
                (case for case in counting if self._fails(case) and self._graded[case].status is verdict), None
            )
        return Outcome(
            status=status,
            score=score,
            max_score=absolute.maximum(""),
            decided_by=decided_by,
            failed=failed,
            groups=tuple(absolute.group_result(group) for group in self._tree.groups),
            skipped=self._skipped(),
        )

    def _skipped(self) -> tuple[Skipped, ...]:
        return tuple(
            Skipped(rule=rule, group=group, because=because, tests=tests)
            for (rule, group, because), tests in self._left_out.items()
        )

    # -- what is left out

    def _why_left_out(self, case: int) -> tuple[str, str, str] | None:
        """Return the rule, the group that it applies to, and its cause; None if the test is not skipped. The outermost
        group is named."""
        for group in reversed(self._tree.above(case)):
            for needed in group.depends_on:
                if needed in self._refused:
                    return "dependency", group.name, needed
            if self._absolute is not None and not group.judge_all:
                rejected = self._absolute.rejected_before(group.name, case)
                if rejected is not None:
                    return "short_circuit", group.name, rejected
            if group.name in self._ended:
                return "short_circuit", group.name, self._plan.cases[self._ended[group.name]].name
        return None

    def _not_accepted(self, case: int, *, counts_as: Verdict | None, share: float) -> None:
        """Update the groups above a failed test, up to one that does not count. ``counts_as``: None if the test was
        skipped, since a skipped test ends no group."""
        nothing = share == 0
        for group in self._tree.above(case):
            self._refused.add(group.name)
            nothing = group.aggregate is Aggregate.ALL or (group.aggregate is Aggregate.MIN and nothing)
            if nothing:
                self._lost.add(group.name)
            if not group.judge_all and counts_as is not None and self._ends(group, counts_as):
                self._ended.setdefault(group.name, case)
            if group.ignored:
                return

    def _not_passed(self, case: int, *, scoreless: bool) -> None:
        """Do the same where points are absolute. ``scoreless``: the test leaves no score to a group whose worst test
        counts.

        A group is lost if its remaining tests change neither its score nor its verdict. They can change the verdict
        where the worst one counts, and where some failures are forgiven.
        """
        is_rejected = True
        for group in self._tree.above(case):
            self._refused.add(group.name)
            is_rejected = is_rejected and group.accepts is Accepts.ALL and not group.worst_error
            has_score = self._plan.scored and group.name != ""
            if group.aggregate is Aggregate.ALL or (group.aggregate is Aggregate.MIN and scoreless):
                has_score = False
            if is_rejected and not has_score:
                self._lost.add(group.name)
            scoreless = scoreless and not has_score
            if group.ignored:
                return

    def _fails(self, case: int) -> bool:
        return case in self._graded and self._graded[case].status not in PASSED

    def _ends(self, group: Group, failure: Verdict) -> bool:
        """Return whether a failure ends a group that ends at its first one. In a MIN group only a failure that leaves
        no score does. In a SUM group Partial is no failure."""
        if not self._plan.scored or group.name in self._lost:
            return True
        return group.aggregate is Aggregate.SUM and failure is not Verdict.PARTIAL

    # -- scores

    def _is_accepted(self, case: int) -> bool:
        graded = self._graded.get(case)
        return graded is not None and graded.status is Verdict.ACCEPTED

    def _first_failed(self, cases: tuple[int, ...]) -> int | None:
        return next((case for case in cases if case in self._graded and not self._is_accepted(case)), None)

    def _verdict_of(self, failed: int) -> Verdict:
        """Return the verdict of a group or submission without points, whose first failed test is this one."""
        status = self._graded[failed].status
        return Verdict.WRONG_ANSWER if status is Verdict.PARTIAL else status

    def _share_of(self, member: int | Group) -> float:
        """Return a member's share, 0 to 1. A member that is worth 0 has share 1 when it is accepted."""
        if isinstance(member, int):
            graded, worth = self._graded.get(member), self.worth(member)
            if graded is None or graded.status is Verdict.ACCEPTED or worth == 0:
                return float(self._is_accepted(member))
            return graded.score / worth
        below = self._tree.counting(member.name)
        if member.aggregate is Aggregate.ALL or all(self._is_accepted(case) for case in below):
            return float(all(self._is_accepted(case) for case in below))
        members = self._tree.members(member.name)
        if member.aggregate is Aggregate.MIN:
            return min(self._share_of(each) for each in members)
        whole = sum(self._worth.of(each) for each in members)
        had = sum(self._share_of(each) * self._worth.of(each) for each in members)
        return min(had / whole, 1.0) if whole else 0.0

    def _group_results(self) -> tuple[GroupResult, ...]:
        return tuple(self._group_result(group) for group in self._tree.groups)

    def _group_result(self, group: Group) -> GroupResult:
        worth = tidy(self._worth.of_group[group.name])
        below = self._tree.counting(group.name)
        score = 0.0
        status: Verdict | None
        if below and all(self._is_accepted(case) for case in below):
            status, score = Verdict.ACCEPTED, worth
        else:
            score = tidy(self._share_of(group) * worth) if below and self._plan.scored else 0.0
            failed = self._first_failed(below)
            status = Verdict.PARTIAL if score > 0 else None if failed is None else self._verdict_of(failed)
        return GroupResult(name=group.name, status=status, score=score, max_score=worth)


def _grade(verdict: Verdict, points: float | None, worth: float, *, scored: bool) -> Graded:
    if verdict in OURS or (points is not None and math.isnan(points)):
        return Graded(Verdict.SYSTEM_ERROR, 0.0)
    if verdict not in (Verdict.ACCEPTED, Verdict.PARTIAL):
        return Graded(verdict, 0.0)
    if verdict is Verdict.ACCEPTED and (points is None or not scored or worth == 0):
        return Graded(Verdict.ACCEPTED, tidy(worth))
    if not scored or points is None or tidy(min(points, worth)) <= 0:
        return Graded(Verdict.WRONG_ANSWER, 0.0)
    if points >= worth or math.isclose(points, worth):
        return Graded(Verdict.ACCEPTED, tidy(worth))
    return Graded(Verdict.PARTIAL, tidy(points))
