"""What the tests of a submission come to: which one is next, the score of each group, the verdict. No run is made here.

Worth flows down: a group is worth what it says, or what its members add up to; members that say nothing share what the
others leave. Points flow up as shares of that worth, so that a group has its whole score exactly when each of its
members has:

===  ======================================================
SUM  the members' points added up, scaled to the worth
MIN  worth × the smallest share among the members
ALL  the worth if every member is accepted, else nothing
===  ======================================================

Two things leave tests out, both by the package's will: a group that depends on one which is not accepted, and a group
that ends at its first failure (``judge_all`` false). What is left out counts for nothing. A MIN group ends early only
once it has come to nothing, so that leaving the rest out does not change its score. The third is ours: ``hurry`` leaves
out what can change neither the verdict nor the score any more.

Whose fault? A System Error of any test, or none judged at all, makes the whole a System Error with score 0: judging did
not take place, and no other test's verdict may stand for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from deepoj.judging.problem import Aggregate, Case, Group, Plan
from deepoj.words import GroupResult, Verdict

#: what a test of a problem that is not scored is worth, and a scored problem whose package does not say
WHOLE = 100.0
#: what a member is worth that says nothing beside others that do, where nothing is left to share: the default of Kattis
#: and of DMOJ
ONE = 1.0
#: groups within groups, at most
MAX_DEPTH = 50
#: people give scores few digits; what is computed from shares of them may miss by less
_DIGITS = 6
_OURS = (Verdict.SYSTEM_ERROR, Verdict.INVALID)


@dataclass(frozen=True, slots=True)
class Graded:
    """A test's verdict, as its points leave it, and the points."""

    status: Verdict
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Tests of a group that were left out by the package's will."""

    #: ``dependency`` or ``short_circuit``
    rule: str
    group: str
    #: on what that hangs: the group that was not accepted, or the test that failed
    because: str
    tests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What it all comes to."""

    status: Verdict
    score: float
    max_score: float
    #: ``all_accepted``, ``first_failed``, ``score`` (some of it), or ``no_verdict``
    decided_by: str
    #: the first test that failed, by its place in the plan
    failed: int | None = None
    #: in the plan's order, the root first; empty for a problem without groups that is not scored
    groups: tuple[GroupResult, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def plain(names: tuple[str, ...]) -> Plan:
    """The plan of a problem that is nothing but tests, all or nothing."""
    return Plan(format="own", cases=tuple(Case(name=name, input=None, answer=None) for name in names))


def fault_of(plan: Plan) -> str | None:
    """Why a plan cannot be scored, a sentence; None if it can."""
    return next(_faults(plan), None)


def _faults(plan: Plan) -> Iterator[str]:
    """A tree is made only of groups without a fault of their own."""
    yield from _group_faults(plan)
    known = {group.name for group in plan.groups} | {""}
    for case in plan.cases:
        if case.group not in known:
            yield f"the test '{case.name}' is in the group '{case.group}', which is not there"
        if not _is_worth(case.score):
            yield f"the score of the test '{case.name}' is no number of points"
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
            yield f"the group '{group.name}' is in '{group.parent}', which does not stand before it"
        depth[group.name] = depth[group.parent or ""] + 1
        if depth[group.name] > MAX_DEPTH:
            yield f"the group '{group.name}' is nested deeper than {MAX_DEPTH} groups"
        for needed in group.depends_on:
            if needed not in known:
                yield f"the group '{group.name}' depends on '{needed}', which is not there"
        if not _is_worth(group.max_score):
            yield f"the score of the group '{group.name}' is no number of points"


class Scoring:
    """One submission's tests, as they end: ``next`` names the test to run, ``record`` takes what it came to.

    Raises (when made):
      ValueError: the plan cannot be scored (``fault_of``).
    """

    def __init__(self, plan: Plan) -> None:
        if (fault := fault_of(plan)) is not None:
            raise ValueError(fault)
        self._plan, self._tree = plan, _Tree(plan)
        self._worth = _Worth(plan, self._tree)
        self._graded: dict[int, Graded] = {}
        #: how far ``next`` has come in the tree's order
        self._at = 0
        #: groups with a test that is not accepted or was left out
        self._refused: set[str] = set()
        #: whether a test that counts has failed: what decides the verdict of what comes to nothing
        self._failed = False
        #: groups that have come to nothing, whatever becomes of the rest
        self._lost: set[str] = set()
        #: groups that have ended early, and the test that ended them
        self._ended: dict[str, int] = {}
        self._left_out: dict[tuple[str, str, str], int] = {}

    def worth(self, case: int) -> float:
        """The points of the test if it is accepted."""
        return self._worth.of_case[case]

    def next(self, *, hurry: bool = False) -> int | None:
        """The next test, by its place in the plan; None: that was all. It stays the next until it is recorded.
        ``hurry``: passes over, for good, what is settled."""
        order = self._tree.order
        while self._at < len(order):
            case = order[self._at]
            if case not in self._graded:
                why = self._why_left_out(case)
                if why is not None:
                    self._left_out[why] = self._left_out.get(why, 0) + 1
                    self._not_accepted(case, counts_as=None, share=0.0)
                elif not (hurry and self.is_settled(case)):
                    return case
            self._at += 1
        return None

    def is_settled(self, case: int) -> bool:
        """Whether the test, whatever it comes to, changes neither the verdict nor the score any more."""
        groups = self._tree.above(case)
        if not self._failed or any(
            group.name in self._tree.needed and group.name not in self._refused for group in groups
        ):
            return False
        if self._plan.scored:
            return any(group.name in self._lost for group in groups)
        return True

    def record(self, case: int, verdict: Verdict, points: float | None = None) -> Graded:
        """Takes what a test came to. ``points``: what the checker gave, of the test's worth; None: all or nothing.

        The verdict follows the points: a part of them is Partial, all Accepted, none Wrong Answer. Points of a test
        that failed for another reason count for nothing, and where nothing is scored, Partial is Wrong Answer.
        """
        graded = self._graded[case] = _grade(verdict, points, self.worth(case), scored=self._plan.scored)
        if graded.status is not Verdict.ACCEPTED:
            self._failed = self._failed or not any(group.ignored for group in self._tree.above(case))
            self._not_accepted(case, counts_as=graded.status, share=self._share_of(case))
        return graded

    def outcome(self) -> Outcome:
        """What it has come to by now; tests that were not judged count for nothing."""
        whole = _tidy(self._worth.of_group[""])
        score = 0.0
        failed: int | None = None
        counting = self._tree.counting("")
        if any(graded.status in _OURS for graded in self._graded.values()):
            status, decided_by = Verdict.SYSTEM_ERROR, "no_verdict"
        elif all(self._is_accepted(case) for case in counting):
            status, score, decided_by = Verdict.ACCEPTED, whole, "all_accepted"
        # A test that does not count can still be why nothing that counts was judged.
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
            skipped=tuple(
                Skipped(rule=rule, group=group, because=because, tests=tests)
                for (rule, group, because), tests in self._left_out.items()
            ),
        )

    # -- what is left out

    def _why_left_out(self, case: int) -> tuple[str, str, str] | None:
        """The rule, the group it applies to, and what that hangs on. The outermost group is named."""
        for group in reversed(self._tree.above(case)):
            for needed in group.depends_on:
                if needed in self._refused:
                    return "dependency", group.name, needed
            if group.name in self._ended:
                return "short_circuit", group.name, self._plan.cases[self._ended[group.name]].name
        return None

    def _not_accepted(self, case: int, *, counts_as: Verdict | None, share: float) -> None:
        """What that means for the groups above it, up to one that does not count. ``counts_as``: None if the test was
        left out: what has ended has ended before."""
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

    def _ends(self, group: Group, failure: Verdict) -> bool:
        """Whether a failure ends a group that ends at its first one. Where it is the worst that counts, it takes one
        that leaves nothing; where points add up, some of them are no failure."""
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
        """Of something that came to nothing through this test first."""
        status = self._graded[failed].status
        return Verdict.WRONG_ANSWER if status is Verdict.PARTIAL else status

    def _share_of(self, member: int | Group) -> float:
        """0 to 1. What is worth nothing has its all when it is accepted."""
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


def _tidy(points: float) -> float:
    return round(points, _DIGITS)


def _is_worth(points: float | None) -> bool:
    return points is None or (math.isfinite(points) and points >= 0)


# ---------------------------------------------------------------------------------------------------------------------
# What does not change while a submission is judged


class _Tree:
    """Groups and tests as a tree, and the order of judging. Tests are named by their place in the plan."""

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
        self._counting: dict[str, list[int]] = {group.name: [] for group in self.groups}
        placed: set[str] = set()
        for number in range(len(plan.cases)):
            self._place(number, placed)
        #: a group that depends on itself, by whatever way
        self.circle: str | None = None
        #: every test once, after all that it depends on, otherwise as the plan has them
        self.order = tuple(self._in_order())
        place = {case: place for place, case in enumerate(self.order)}
        for cases in self._counting.values():
            cases.sort(key=lambda case: place.get(case, -1))

    def above(self, case: int) -> tuple[Group, ...]:
        """The groups that a test is in, the innermost first."""
        return tuple(self._chain(self._cases[case].group))

    def members(self, group: str) -> tuple[int | Group, ...]:
        """Those that count in it: tests, and groups with a test that counts."""
        return tuple(
            member
            for member in self._members[group]
            if isinstance(member, int) or (not member.ignored and self._counting[member.name])
        )

    def counting(self, group: str) -> tuple[int, ...]:
        """The tests below it that count in it, in the order of judging."""
        return tuple(self._counting[group])

    def _chain(self, name: str | None) -> Iterator[Group]:
        while name is not None:
            group = self._by_name[name]
            yield group
            name = None if group.name == "" else group.parent

    def _place(self, number: int, placed: set[str]) -> None:
        """Under all that it is in; a group stands among its parent's members where its first test stands."""
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
        """Depth first, with a stack of its own: how many groups wait for one another is up to the package."""
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
        """What has to come before a group is through: what it and those around it depend on, then what is in it."""
        for group in self._chain(name):
            yield from group.depends_on
        for member in self._members[name]:
            yield member if isinstance(member, int) else member.name


class _Worth:
    """What each test and each group is worth."""

    def __init__(self, plan: Plan, tree: _Tree) -> None:
        self._plan, self._tree = plan, tree
        self.of_case: dict[int, float] = dict.fromkeys(range(len(plan.cases)), 0.0)
        self.of_group: dict[str, float] = {group.name: 0.0 for group in tree.groups}
        if plan.scored:
            said = self._said(tree.root)
            self._spread(tree.root, WHOLE if said is None else said)
        else:
            self.of_case = dict.fromkeys(self.of_case, WHOLE)
            self.of_group = dict.fromkeys(self.of_group, WHOLE)

    def of(self, member: int | Group) -> float:
        return self.of_case[member] if isinstance(member, int) else self.of_group[member.name]

    def _said(self, member: int | Group) -> float | None:
        """What the package says of a member, in so many words or by what is in it; None: nothing."""
        if isinstance(member, int):
            return self._plan.cases[member].score
        if member.max_score is not None:
            return member.max_score
        said = [self._said(each) for each in self._tree.members(member.name)]
        if all(worth is None for worth in said):
            return None
        worths = [ONE if worth is None else worth for worth in said]
        return min(worths) if member.aggregate is Aggregate.MIN else sum(worths)

    def _spread(self, group: Group, worth: float) -> None:
        self.of_group[group.name] = worth
        members = self._tree.members(group.name)
        said = [self._said(member) for member in members]
        rest = worth - sum(each for each in said if each is not None)
        share = max(rest, 0.0) / max(said.count(None), 1)
        if group.aggregate is Aggregate.MIN:
            share = worth
        for member, of_member in zip(members, said, strict=True):
            if isinstance(member, int):
                self.of_case[member] = share if of_member is None else of_member
            else:
                self._spread(member, share if of_member is None else of_member)
