"""The worth of tests and groups where points are shares. It does not change while a submission is judged."""

from __future__ import annotations

from deepoj.judging.problem import Aggregate, Group, Plan, Points
from deepoj.judging.scoring.tree import GroupTree

#: the worth of a test of an unscored problem, and of a scored problem whose package states no score
WHOLE = 100.0
#: the worth of a member without a stated score beside others that have one, where no rest is left to share: the default
#: of Kattis and of DMOJ
ONE = 1.0


class Worth:
    """The worth of each test and each group."""

    def __init__(self, plan: Plan, tree: GroupTree) -> None:
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
