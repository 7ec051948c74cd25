"""What a new package changes of a problem."""

from __future__ import annotations

from pydantic import Field

from deepoj.api.models.base import ResponseModel
from deepoj.api.models.problems import ProblemView
from deepoj.packages.changes import CaseDigests, ChangeKind, PackageChanges


class TestDigestsView(ResponseModel):
    """A test by its content."""

    name: str
    input: str = Field(description="first digits of the SHA-256 of its input; empty: it has none")
    answer: str = Field(description="first digits of the SHA-256 of its answer; empty: it has none")


class TestChangeView(ResponseModel):
    """A test that differs."""

    kind: ChangeKind
    before: TestDigestsView | None = Field(description="the test in the current package; null if it is added")
    after: TestDigestsView | None = Field(description="the test in the new package; null if it is removed")
    parts: list[str] = Field(
        description="what differs of a changed test: input, answer, arguments, files, points, group, sample"
    )


class RuleChangeView(ResponseModel):
    """A rule of the problem that differs."""

    rule: str = Field(
        description="time_limit, memory_limit, package_limits, comparison, checker, interactor, scoring, groups,"
        " submissions, files_beside or order"
    )
    before: str
    after: str


class PackageChangesView(ResponseModel):
    """What a new package changes of a problem."""

    tests: list[TestChangeView] = Field(description="those that differ")
    rules: list[RuleChangeView]
    added: int
    removed: int
    changed: int
    renamed: int
    unchanged: int
    may_change_verdicts: bool = Field(description="whether a rejudge may give another verdict or score")


class ProblemChangedView(ProblemView):
    """A problem after a change."""

    changes: PackageChangesView | None = Field(
        None, description="what the new package changed; null without one, and if the one before cannot be read"
    )


def changes_view(changes: PackageChanges) -> PackageChangesView:
    """Return changes as a model."""
    return PackageChangesView(
        tests=[
            TestChangeView(kind=one.kind, before=_digests(one.before), after=_digests(one.after), parts=list(one.parts))
            for one in changes.cases
        ],
        rules=[RuleChangeView(rule=one.rule, before=one.before, after=one.after) for one in changes.rules],
        added=changes.count(ChangeKind.ADDED),
        removed=changes.count(ChangeKind.REMOVED),
        changed=changes.count(ChangeKind.CHANGED),
        renamed=changes.count(ChangeKind.RENAMED),
        unchanged=changes.unchanged,
        may_change_verdicts=changes.may_change_verdicts,
    )


def _digests(digests: CaseDigests | None) -> TestDigestsView | None:
    if digests is None:
        return None
    return TestDigestsView(name=digests.name, input=digests.input, answer=digests.answer)
