"""Groups and tests as a tree, and the order of judging. It does not change while a submission is judged."""

from __future__ import annotations

from collections.abc import Iterator

from deepoj.judging.problem import Group, Plan


class GroupTree:
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
