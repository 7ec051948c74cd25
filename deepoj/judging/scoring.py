"""Score a submission: which test is next, the points of each group, the verdict. No run is made here.

There are two ways, by ``Plan.points``. Where points are *shares*, worth is distributed from the root down. A group is
worth its stated score, or the sum of its members' stated scores (for MIN the smallest). Members without a stated score
share the rest equally. Points go up as shares of that worth, so that a group has its full score exactly when each of
its members has:

===  ======================================================
SUM  the members' points added up, scaled to the worth
MIN  worth × the smallest share among the members
ALL  the worth if every member is accepted, else nothing
===  ======================================================

Where points are *absolute* (Kattis' formats and DOMjudge's), a group's score is the sum, minimum, maximum or average of
its members' points, and is not scaled. ``ALL`` gives the group's maximum or nothing. A maximum is only a bound. The
verdict of a group is computed beside its score. It decides whether the rest of the group is judged, and a submission
whose root is not accepted has no score.

Two rules of the package skip tests: a group that depends on a group that is not accepted, and a group that ends at its
first failure (``judge_all`` false). Skipped tests have no points. A MIN group ends early only once its score is 0, so
that skipping the rest does not change its score. A third rule is ours: ``hurry`` skips tests that can no longer change
the verdict or the score.

A System Error of any test, or no judged test at all, makes the whole a System Error with score 0. Judging did not take
place then, and no other test's verdict may replace it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deepoj.judging.problem import Accepts, Aggregate, Case, Group, Plan, Points
from deepoj.words.results import GroupResult, Verdict

#: the worth of a test of an unscored problem, and of a scored problem whose package states no score
WHOLE = 100.0
#: the worth of a member without a stated score beside others that have one, where no rest is left to share: the default
#: of Kattis and of DMOJ
ONE = 1.0
#: maximum nesting depth of groups
MAX_DEPTH = 50
#: scores have few digits; computed shares of them may be off by less than this
_DIGITS = 9
#: points that differ by less are equal: checkers print rounded numbers
_SAME_POINTS = 1e-6
_OURS = (Verdict.SYSTEM_ERROR, Verdict.INVALID)
#: verdicts of an accepted output, with all points or with a part of them
_PASSED = (Verdict.ACCEPTED, Verdict.PARTIAL)
#: Kattis' order, the worst first; all other verdicts follow
_WORST_FIRST = (
    Verdict.RUNTIME_ERROR,
    Verdict.MEMORY_LIMIT_EXCEEDED,
    Verdict.TIME_LIMIT_EXCEEDED,
    Verdict.OUTPUT_LIMIT_EXCEEDED,
    Verdict.WRONG_ANSWER,
    Verdict.PRESENTATION_ERROR,
)


@dataclass(frozen=True, slots=True)
class Graded:
    """A test's verdict, after its points were applied, and its points."""

    status: Verdict
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Tests of a group that were skipped by a rule of the package."""

    #: ``dependency`` or ``short_circuit``
    rule: str
    group: str
    #: the cause: the group that was not accepted, or the test that failed
    because: str
    tests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a submission."""

    status: Verdict
    score: float
    #: None: the package sets no bound
    max_score: float | None
    #: ``all_accepted``, ``first_failed``, ``score`` (a part of it), or ``no_verdict``
    decided_by: str
    #: the first test that failed, by its index in the plan
    failed: int | None = None
    #: in the plan's order, the root first; empty for a problem without groups that is not scored
    groups: tuple[GroupResult, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def plain(names: tuple[str, ...]) -> Plan:
    """Return the plan of a problem that has only tests and is all or nothing."""
    return Plan(format="own", cases=tuple(Case(name=name, input=None, answer=None) for name in names))


def fault_of(plan: Plan) -> str | None:
    """Return why a plan cannot be scored, as a sentence; None if it can."""
    return next(_faults(plan), None)


def _faults(plan: Plan) -> Iterator[str]:
    """Yield the faults of a plan. The tree is built only if the groups have no fault."""
    yield from _group_faults(plan)
    known = {group.name for group in plan.groups} | {""}
    for case in plan.cases:
        if case.group not in known:
            yield f"the test '{case.name}' is in the group '{case.group}', which does not exist"
        if not _is_worth(case.score):
            yield f"the score of the test '{case.name}' is not a valid number of points"
    tree = _Tree(plan)
    if tree.circle is not None:
        yield f"the group '{tree.circle}' depends on itself"
    if not tree.counting(""):
        yield "the problem has no test that counts"


def _group_faults(plan: Plan) -> Iterator[str]:
    depth = {"": 0}
    seen: set[str] = set()
    known = {group.name for group in plan.groups} | {""}
    for group in plan.groups:
        if group.name in seen:
            yield f"there are two groups '{group.name}'"
        seen.add(group.name)
        if (group.parent is None) != (group.name == ""):
            yield f"the group '{group.name}' has no parent" if group.name else "the root group has a parent"
        if (group.parent or "") not in depth:
            yield f"the group '{group.name}' is in '{group.parent}', which is not listed before it"
        depth[group.name] = depth[group.parent or ""] + 1
        if depth[group.name] > MAX_DEPTH:
            yield f"the group '{group.name}' is nested deeper than {MAX_DEPTH} groups"
        for needed in group.depends_on:
            if needed not in known:
                yield f"the group '{group.name}' depends on '{needed}', which does not exist"
        if not _is_worth(group.max_score):
            yield f"the score of the group '{group.name}' is not a valid number of points"


class Scoring:
    """The scoring of one submission: ``next`` names the test to run, ``record`` takes its verdict.

    Raises (by the constructor):
      ValueError: the plan cannot be scored (``fault_of``).
    """

    def __init__(self, plan: Plan) -> None:
        if (fault := fault_of(plan)) is not None:
            raise ValueError(fault)
        self._plan, self._tree = plan, _Tree(plan)
        self._worth = _Worth(plan, self._tree)
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
        self._absolute = None if plan.points is Points.SHARES else _Absolute(plan, self._tree, self._graded)

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

    def is_settled(self, case: int) -> bool:
        """Return whether the test can no longer change the verdict or the score, with any verdict of its own."""
        groups = self._tree.above(case)
        if not self._failed or any(
            group.name in self._tree.needed and group.name not in self._refused for group in groups
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

    def _record_absolute(self, absolute: _Absolute, case: int, verdict: Verdict, points: float | None) -> Graded:
        graded = self._graded[case] = absolute.grade(case, verdict, points)
        if graded.status not in _PASSED:
            self._failed = self._failed or not any(group.ignored for group in self._tree.above(case))
            self._not_passed(case, scoreless=self._plan.cases[case].reject_score == 0)
        return graded

    def points_fault(self, case: int, verdict: Verdict, points: float | None, share: float | None) -> str | None:
        """Return why a validator may not give these points to the test, as a sentence; None if it may."""
        if self._absolute is None or not self._plan.scored:
            return None
        return self._absolute.points_fault(case, verdict, points, share)

    def outcome(self) -> Outcome:
        """Return the result so far. Tests that were not judged have no points."""
        if self._absolute is not None:
            return self._absolute_outcome(self._absolute)
        whole = _tidy(self._worth.of_group[""])
        score = 0.0
        failed: int | None = None
        counting = self._tree.counting("")
        if any(graded.status in _OURS for graded in self._graded.values()):
            status, decided_by = Verdict.SYSTEM_ERROR, "no_verdict"
        elif all(self._is_accepted(case) for case in counting):
            status, score, decided_by = Verdict.ACCEPTED, whole, "all_accepted"
        # A test that does not count may still be the reason why no counting test was judged.
        elif (failed := self._first_failed((*counting, *self._tree.order))) is None:
            status, decided_by = Verdict.SYSTEM_ERROR, "no_verdict"
        else:
            score = _tidy(self._share_of(self._tree.root) * whole) if self._plan.scored else 0.0
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

    def _absolute_outcome(self, absolute: _Absolute) -> Outcome:
        counting = self._tree.counting("")
        verdict = absolute.verdict("")
        failed = next((case for case in counting if self._fails(case)), None)
        status, score, decided_by = Verdict.SYSTEM_ERROR, 0.0, "no_verdict"
        is_complete = self._at == len(self._tree.order) or all(case in self._graded for case in counting)
        if any(graded.status in _OURS for graded in self._graded.values()) or verdict is None or not is_complete:
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
        return case in self._graded and self._graded[case].status not in _PASSED

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
        worth = _tidy(self._worth.of_group[group.name])
        below = self._tree.counting(group.name)
        score = 0.0
        status: Verdict | None
        if below and all(self._is_accepted(case) for case in below):
            status, score = Verdict.ACCEPTED, worth
        else:
            score = _tidy(self._share_of(group) * worth) if below and self._plan.scored else 0.0
            failed = self._first_failed(below)
            status = Verdict.PARTIAL if score > 0 else None if failed is None else self._verdict_of(failed)
        return GroupResult(name=group.name, status=status, score=score, max_score=worth)


def _grade(verdict: Verdict, points: float | None, worth: float, *, scored: bool) -> Graded:
    if verdict in _OURS or (points is not None and math.isnan(points)):
        return Graded(Verdict.SYSTEM_ERROR, 0.0)
    if verdict not in (Verdict.ACCEPTED, Verdict.PARTIAL):
        return Graded(verdict, 0.0)
    if verdict is Verdict.ACCEPTED and (points is None or not scored or worth == 0):
        return Graded(Verdict.ACCEPTED, _tidy(worth))
    if not scored or points is None or _tidy(min(points, worth)) <= 0:
        return Graded(Verdict.WRONG_ANSWER, 0.0)
    if points >= worth or math.isclose(points, worth):
        return Graded(Verdict.ACCEPTED, _tidy(worth))
    return Graded(Verdict.PARTIAL, _tidy(points))


class _Absolute:
    """Scores and verdicts where points are absolute. ``graded``: the judged tests by their index in the plan."""

    def __init__(self, plan: Plan, tree: _Tree, graded: Mapping[int, Graded]) -> None:
        self._plan, self._tree, self._graded = plan, tree, graded
        #: of groups that end at their first rejected member: the number of members already examined, and the rejected
        #: one
        self._looked_at: dict[str, int] = {}
        self._rejected: dict[str, int | Group] = {}

    # -- tests

    def grade(self, case: int, verdict: Verdict, points: float | None) -> Graded:
        """Return the verdict and the points of a test."""
        test = self._plan.cases[case]
        if verdict not in _PASSED:
            return Graded(Verdict.SYSTEM_ERROR if verdict in _OURS else verdict, _tidy(test.reject_score))
        if not self._plan.scored:
            is_accepted = verdict is Verdict.ACCEPTED
            return Graded(Verdict.ACCEPTED, WHOLE) if is_accepted else Graded(Verdict.WRONG_ANSWER, 0.0)
        if points is not None and math.isnan(points):
            return Graded(Verdict.SYSTEM_ERROR, 0.0)
        if points is None or not self._takes_points(case):
            return Graded(Verdict.ACCEPTED, _tidy(test.score or 0.0))
        is_part = self._plan.points is Points.BOUNDED and test.score is not None and points < test.score - _SAME_POINTS
        return Graded(Verdict.PARTIAL if is_part else Verdict.ACCEPTED, _tidy(points))

    def points_fault(self, case: int, verdict: Verdict, points: float | None, share: float | None) -> str | None:
        """See :meth:`Scoring.points_fault`."""
        worth = self._plan.cases[case].score
        gives, passes = points is not None or share is not None, verdict in _PASSED
        faults: tuple[tuple[bool, str], ...]
        if self._plan.points is Points.LEGACY:
            # Points without effect are forgiven: DOMjudge ignores them, Kattis' tools do not.
            faults = (
                (share is not None, "it gave a part of the test's score, which this format of packages does not know"),
                (
                    not passes and points not in (None, self._plan.cases[case].reject_score),
                    "it rejected the output, and gave it points",
                ),
            )
        elif any(group.ignored for group in self._tree.above(case)):
            return None
        else:
            is_whole = not self._takes_points(case)
            faults = (
                (gives and not passes, "it rejected the output, and gave it points"),
                (gives and is_whole, "it gave points to a test of a group that is passed or failed as a whole"),
                (
                    passes and not is_whole and worth is None and points is None,
                    "it accepted the output of a test that has no maximum score, and gave it no points",
                ),
                (
                    points is not None and worth is not None and points > worth + _SAME_POINTS,
                    f"it gave {points} points to a test whose maximum score is {worth}",
                ),
            )
        return next((sentence for holds, sentence in faults if holds), None)

    def _takes_points(self, case: int) -> bool:
        """Return whether the points of a validator count. They never do in samples that do not count themselves."""
        group = self._tree.above(case)[0]
        if self._plan.points is Points.LEGACY:
            return True
        return group.aggregate is not Aggregate.ALL and not group.ignored

    # -- groups

    def verdict(self, name: str) -> Verdict | None:
        """Return the verdict of a group by those of its members; None: no member has been judged."""
        verdicts = [verdict for member in self._tree.members(name) if (verdict := self._verdict_of(member)) is not None]
        if not verdicts:
            return None
        group = self._tree.group(name)
        failures = [verdict for verdict in verdicts if verdict is not Verdict.ACCEPTED]
        forgives = group.accepts is Accepts.ALWAYS or (group.accepts is Accepts.ANY and len(failures) < len(verdicts))
        if not failures or forgives:
            return Verdict.ACCEPTED
        return min(failures, key=_badness) if group.worst_error else failures[0]

    def rejected_before(self, name: str, case: int) -> str | None:
        """Return the first rejected member of a group if it precedes the member that contains the test; else None."""
        members = self._tree.members(name)
        while name not in self._rejected and (at := self._looked_at.get(name, 0)) < len(members):
            member = members[at]
            if self._is_in(case, member):
                return None
            self._looked_at[name] = at + 1
            if self._verdict_of(member) not in (None, Verdict.ACCEPTED):
                self._rejected[name] = member
        rejected = self._rejected.get(name)
        if rejected is None:
            return None
        return self._plan.cases[rejected].name if isinstance(rejected, int) else rejected.name

    def maximum(self, name: str) -> float | None:
        """Return the maximum score of a group; None: it has no bound."""
        if not self._plan.scored:
            return WHOLE
        group = self._tree.group(name)
        bounds = [] if group.max_score is None else [group.max_score]
        below = [self._maximum_of(member) for member in self._tree.members(name)]
        known = [bound for bound in below if bound is not None]
        if group.aggregate is not Aggregate.ALL and below and len(known) == len(below):
            bounds.append(_aggregated(group.aggregate, known))
        return _tidy(min(bounds)) if bounds else None

    def result(self, name: str, verdict: Verdict) -> tuple[Verdict, float, str]:
        """Return status, score and ``decided_by`` of a group with this verdict."""
        if verdict is not Verdict.ACCEPTED and (name == "" or not self._plan.scored):
            return verdict, 0.0, "first_failed"
        maximum = self.maximum(name)
        score = self._score(name)
        counting = self._tree.counting(name)
        has_all = all(case in self._graded and self._graded[case].status is Verdict.ACCEPTED for case in counting)
        is_full = has_all if maximum is None else score >= maximum - _SAME_POINTS
        if verdict is Verdict.ACCEPTED and is_full and (score > 0 or has_all):
            return Verdict.ACCEPTED, score, "all_accepted"
        if score > 0:
            return Verdict.PARTIAL, score, "score"
        return Verdict.WRONG_ANSWER if verdict is Verdict.ACCEPTED else verdict, 0.0, "first_failed"

    def group_result(self, group: Group) -> GroupResult:
        """Return a group as the result shows it."""
        verdict = self.verdict(group.name)
        status, score = None, 0.0
        if verdict is not None:
            status, score, _ = self.result(group.name, verdict)
        return GroupResult(name=group.name, status=status, score=score, max_score=self.maximum(group.name))

    def _verdict_of(self, member: int | Group) -> Verdict | None:
        if isinstance(member, Group):
            return self.verdict(member.name)
        graded = self._graded.get(member)
        return None if graded is None else Verdict.ACCEPTED if graded.status in _PASSED else graded.status

    def _score(self, name: str) -> float:
        if not self._plan.scored:
            return WHOLE
        group = self._tree.group(name)
        if group.aggregate is Aggregate.ALL:
            passed = all(self._verdict_of(case) is Verdict.ACCEPTED for case in self._tree.counting(name))
            return _tidy(group.max_score or 0.0) if passed else 0.0
        # Kattis' grader sees only judged members; since 2023-07 a group that is not run has the score 0
        leaves_out = self._plan.points is Points.LEGACY
        scores = [
            self._score_of(member)
            for member in self._tree.members(name)
            if not leaves_out or self._verdict_of(member) is not None
        ]
        return _tidy(_aggregated(group.aggregate, scores)) if scores else 0.0

    def _score_of(self, member: int | Group) -> float:
        if isinstance(member, Group):
            return self._score(member.name)
        graded = self._graded.get(member)
        return 0.0 if graded is None else graded.score

    def _maximum_of(self, member: int | Group) -> float | None:
        if isinstance(member, Group):
            return self.maximum(member.name)
        is_open = self._plan.points is Points.LEGACY and self._plan.checker is not None
        return None if is_open else self._plan.cases[member].score

    def _is_in(self, case: int, member: int | Group) -> bool:
        return case == member if isinstance(member, int) else member in self._tree.above(case)


def _aggregated(how: Aggregate, scores: Sequence[float]) -> float:
    if how is Aggregate.MIN:
        return min(scores)
    if how is Aggregate.MAX:
        return max(scores)
    total = math.fsum(scores)
    return total / len(scores) if how is Aggregate.AVERAGE else total


def _badness(verdict: Verdict) -> int:
    return _WORST_FIRST.index(verdict) if verdict in _WORST_FIRST else len(_WORST_FIRST)


def _tidy(points: float) -> float:
    return round(points, _DIGITS)


def _is_worth(points: float | None) -> bool:
    return points is None or (math.isfinite(points) and points >= 0)


# ---------------------------------------------------------------------------------------------------------------------
# Structures that do not change while a submission is judged


class _Tree:
    """Groups and tests as a tree, and the order of judging. Tests are identified by their index in the plan."""

    def __init__(self, plan: Plan) -> None:
        self.groups = plan.groups
        if all(group.name for group in plan.groups):
            self.groups = (Group(name="", parent=None), *plan.groups)
        self._by_name = {group.name: group for group in self.groups}
        self.root = self._by_name[""]
        self._cases = plan.cases
        #: groups that others depend on
        self.needed = frozenset(name for group in self.groups for name in group.depends_on)
        self._members: dict[str, list[int | Group]] = {group.name: [] for group in self.groups}
        self._counting_members: dict[str, tuple[int | Group, ...]] = {}
        self._counting: dict[str, list[int]] = {group.name: [] for group in self.groups}
        placed: set[str] = set()
        for number in range(len(plan.cases)):
            self._place(number, placed)
        #: a group that depends on itself, directly or through others
        self.circle: str | None = None
        #: every test once, after its dependencies, otherwise in the plan's order
        self.order = tuple(self._in_order())
        place = {case: place for place, case in enumerate(self.order)}
        for cases in self._counting.values():
            cases.sort(key=lambda case: place.get(case, -1))

    def above(self, case: int) -> tuple[Group, ...]:
        """Return the groups that contain a test, the innermost first."""
        return tuple(self._chain(self._cases[case].group))

    def group(self, name: str) -> Group:
        """Return a group by its name."""
        return self._by_name[name]

    def members(self, group: str) -> tuple[int | Group, ...]:
        """Return a group's members that count: tests, and groups with a test that counts."""
        if group not in self._counting_members:
            self._counting_members[group] = tuple(
                member
                for member in self._members[group]
                if isinstance(member, int) or (not member.ignored and self._counting[member.name])
            )
        return self._counting_members[group]

    def counting(self, group: str) -> tuple[int, ...]:
        """Return the tests below a group that count in it, in the order of judging."""
        return tuple(self._counting[group])

    def _chain(self, name: str | None) -> Iterator[Group]:
        while name is not None:
            group = self._by_name[name]
            yield group
            name = None if group.name == "" else group.parent

    def _place(self, number: int, placed: set[str]) -> None:
        """Add a test to all groups that contain it. A group is placed among its parent's members at its first test."""
        member: int | Group = number
        counts = True
        for group in self._chain(self._cases[number].group):
            if counts:
                self._counting[group.name].append(number)
            if isinstance(member, int) or member.name not in placed:
                self._members[group.name].append(member)
                if isinstance(member, Group):
                    placed.add(member.name)
            member = group
            counts = counts and not group.ignored

    def _in_order(self) -> Iterator[int]:
        """Yield the tests depth first, with an explicit stack: the package decides how deep dependencies go."""
        done: set[str] = set()
        under_way = {"": self._wanted_by("")}
        while under_way:
            name, wanted = next(reversed(under_way.items()))
            want = next(wanted, None)
            if want is None:
                del under_way[name]
                done.add(name)
            elif isinstance(want, int):
                yield want
            elif want in under_way:
                self.circle = self.circle or want or "the root"
            elif want not in done:
                under_way[want] = self._wanted_by(want)

    def _wanted_by(self, name: str) -> Iterator[int | str]:
        """Yield the prerequisites of a group: dependencies of it and of the groups around it, then its members."""
        for group in self._chain(name):
            yield from group.depends_on
        for member in self._members[name]:
            yield member if isinstance(member, int) else member.name


class _Worth:
    """The worth of each test and each group."""

    def __init__(self, plan: Plan, tree: _Tree) -> None:
        self._plan, self._tree = plan, tree
        self.of_case: dict[int, float] = dict.fromkeys(range(len(plan.cases)), 0.0)
        self.of_group: dict[str, float] = {group.name: 0.0 for group in tree.groups}
        if plan.scored and plan.points is not Points.SHARES:
            self.of_case = {number: case.score or 0.0 for number, case in enumerate(plan.cases)}
        elif plan.scored:
            stated = self._stated_worth(tree.root)
            self._spread(tree.root, WHOLE if stated is None else stated)
        else:
            self.of_case = dict.fromkeys(self.of_case, WHOLE)
            self.of_group = dict.fromkeys(self.of_group, WHOLE)

    def of(self, member: int | Group) -> float:
        return self.of_case[member] if isinstance(member, int) else self.of_group[member.name]

    def _stated_worth(self, member: int | Group) -> float | None:
        """Return the worth of a member that the package states, for it or through its members; None: it states none."""
        if isinstance(member, int):
            return self._plan.cases[member].score
        if member.max_score is not None:
            return member.max_score
        stated = [self._stated_worth(each) for each in self._tree.members(member.name)]
        if all(worth is None for worth in stated):
            return None
        worths = [ONE if worth is None else worth for worth in stated]
        return min(worths) if member.aggregate is Aggregate.MIN else sum(worths)

    def _spread(self, group: Group, worth: float) -> None:
        self.of_group[group.name] = worth
        members = self._tree.members(group.name)
        stated = [self._stated_worth(member) for member in members]
        rest = worth - sum(each for each in stated if each is not None)
        share = max(rest, 0.0) / max(stated.count(None), 1)
        if group.aggregate is Aggregate.MIN:
            share = worth
        for member, of_member in zip(members, stated, strict=True):
            if isinstance(member, int):
                self.of_case[member] = share if of_member is None else of_member
            else:
                self._spread(member, share if of_member is None else of_member)
