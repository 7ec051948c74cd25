"""Scores and verdicts where points are absolute: the formats of Kattis and DOMjudge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from deepoj.judging.problem import Accepts, Aggregate, Group, Plan, Points
from deepoj.judging.scoring.outcome import OURS, PASSED, Graded, tidy
from deepoj.judging.scoring.tree import GroupTree
from deepoj.judging.scoring.worth import WHOLE
from deepoj.words.results import GroupResult, Verdict

#: points that differ by less are equal: checkers print rounded numbers
_SAME_POINTS = 1e-6
#: Kattis' order, the worst first; all other verdicts follow
_WORST_FIRST = (
    Verdict.RUNTIME_ERROR,
    Verdict.MEMORY_LIMIT_EXCEEDED,
    Verdict.TIME_LIMIT_EXCEEDED,
    Verdict.OUTPUT_LIMIT_EXCEEDED,
    Verdict.WRONG_ANSWER,
    Verdict.PRESENTATION_ERROR,
)


class AbsoluteScores:
    """Scores and verdicts where points are absolute. ``graded``: the judged tests by their index in the plan."""

    def __init__(self, plan: Plan, tree: GroupTree, graded: Mapping[int, Graded]) -> None:
        self._plan, self._tree, self._graded = plan, tree, graded
        #: of groups that end at their first rejected member: how many of their first members are judged whole and were
        #: not rejected
        self._passed: dict[str, int] = {}
        #: the results of groups that a grader has computed
        self._by_grader: dict[str, Graded] = {}

    # -- tests

    def grade(self, case: int, verdict: Verdict, points: float | None) -> Graded:
        """Return the verdict and the points of a test."""
        test = self._plan.cases[case]
        if verdict not in PASSED:
            return Graded(Verdict.SYSTEM_ERROR if verdict in OURS else verdict, tidy(test.reject_score))
        if not self._plan.scored:
            is_accepted = verdict is Verdict.ACCEPTED
            return Graded(Verdict.ACCEPTED, WHOLE) if is_accepted else Graded(Verdict.WRONG_ANSWER, 0.0)
        if points is not None and math.isnan(points):
            return Graded(Verdict.SYSTEM_ERROR, 0.0)
        if points is None or not self._takes_points(case):
            return Graded(Verdict.ACCEPTED, tidy(test.score or 0.0))
        is_part = self._plan.points is Points.BOUNDED and test.score is not None and points < test.score - _SAME_POINTS
        return Graded(Verdict.PARTIAL if is_part else Verdict.ACCEPTED, tidy(points))

    def points_fault(self, case: int, verdict: Verdict, points: float | None, share: float | None) -> str | None:
        """See :meth:`Scoring.points_fault`."""
        worth = self._plan.cases[case].score
        gives, passes = points is not None or share is not None, verdict in PASSED
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

    def has_grade(self, name: str) -> bool:
        """Return whether a grader has computed the group's result."""
        return name in self._by_grader

    def set_grade(self, name: str, graded: Graded) -> None:
        self._by_grader[name] = graded

    def results(self, name: str) -> tuple[Graded, ...]:
        """Return the verdicts and scores of a group's judged members, for its grader."""
        return tuple(
            Graded(verdict, self._for_grader(member))
            for member in self._tree.members(name)
            if (verdict := self._verdict_of(member)) is not None
        )

    def _for_grader(self, member: int | Group) -> float:
        """Return a member's score; where the problem has no scores, an accepted test's is 1."""
        if isinstance(member, Group) and self.has_grade(member.name):
            return self._by_grader[member.name].score
        if self._plan.scored:
            return self._score_of(member)
        if isinstance(member, Group):
            return math.fsum(self._for_grader(below) for below in self._tree.members(member.name))
        return float(self._verdict_of(member) is Verdict.ACCEPTED)

    def verdict(self, name: str) -> Verdict | None:
        """Return the verdict of a group by its grader, or by those of its members; None: no member has been judged, or
        the grader has not yet been run."""
        if self._tree.group(name).grader_args is not None:
            return self._by_grader[name].status if self.has_grade(name) else None
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
        """Return the first rejected member of a group if it precedes the member that contains the test; else None.

        Tests ahead of their turn are asked for as well, so an answer must not depend on the questions before it. What
        is kept are members whose verdict is final.
        """
        members = self._tree.members(name)
        for place in range(self._passed.get(name, 0), len(members)):
            member = members[place]
            if self._is_in(case, member):
                return None
            verdict = self._verdict_of(member)
            if verdict not in (None, Verdict.ACCEPTED):
                return self._plan.cases[member].name if isinstance(member, int) else member.name
            if place == self._passed.get(name, 0) and self._is_whole(member):
                self._passed[name] = place + 1
        return None

    def _is_whole(self, member: int | Group) -> bool:
        """Return whether all tests of a member are judged."""
        if isinstance(member, int):
            return member in self._graded
        if member.grader_args is not None:
            return self.has_grade(member.name)
        return all(self._is_whole(below) for below in self._tree.members(member.name))

    def maximum(self, name: str) -> float | None:
        """Return the maximum score of a group; None: it has no bound."""
        if not self._plan.scored:
            return WHOLE
        group = self._tree.group(name)
        bounds = [] if group.max_score is None else [group.max_score]
        below = [] if group.grader_args is not None else [self._maximum_of(each) for each in self._tree.members(name)]
        known = [bound for bound in below if bound is not None]
        if group.aggregate is not Aggregate.ALL and below and len(known) == len(below):
            bounds.append(_aggregated(group.aggregate, known))
        return tidy(min(bounds)) if bounds else None

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
        return None if graded is None else Verdict.ACCEPTED if graded.status in PASSED else graded.status

    def _score(self, name: str) -> float:
        if not self._plan.scored:
            return WHOLE
        group = self._tree.group(name)
        if group.grader_args is not None:
            return self._by_grader[name].score if self.has_grade(name) else 0.0
        if group.aggregate is Aggregate.ALL:
            passed = all(self._verdict_of(case) is Verdict.ACCEPTED for case in self._tree.counting(name))
            return tidy(group.max_score or 0.0) if passed else 0.0
        # Kattis' grader sees only judged members; since 2023-07 a group that is not run has the score 0
        leaves_out = self._plan.points is Points.LEGACY
        scores = [
            self._score_of(member)
            for member in self._tree.members(name)
            if not leaves_out or self._verdict_of(member) is not None
        ]
        return tidy(_aggregated(group.aggregate, scores)) if scores else 0.0

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
