"""Problems: managed by their setters and administrators, read by those who see them."""

from __future__ import annotations

from typing import Any

from quart import Response, request

from deepoj.api.access import READER, needs
from deepoj.api.catalog import problem_for
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import query_flag, query_number, query_text
from deepoj.api.models.base import reply
from deepoj.api.models.changes import PackageChangesView, ProblemChangedView, changes_view
from deepoj.api.models.problems import (
    DeleteQuery,
    ProblemChangeForm,
    ProblemCreated,
    ProblemDeleted,
    ProblemForm,
    ProblemItem,
    ProblemPage,
    ProblemQuery,
    ProblemView,
)
from deepoj.api.package_download import package_download
from deepoj.api.publishing import Publishing, package_refused
from deepoj.api.replacing import Replacing
from deepoj.api.rights import Right, may
from deepoj.api.route import Described, route
from deepoj.packages.changes import PackageChanges
from deepoj.words.accounts import User
from deepoj.words.problems import MAX_DIFFICULTY_CHARS, MAX_TAG_CHARS, Problem, ProblemOrder, ProblemSearch, tag_of

_PAGE = 50
_MAX_PAGE = 200
_MAX_AFTER = 2**63 - 1


class ProblemRoutes:
    """``/api/v1/problems``."""

    def __init__(self, context: ApiContext) -> None:
        self._context, self._problems, self._publishing = context, context.problems, Publishing(context)
        self._replacing, self._vet = Replacing(context, self._publishing), context.vet

    @route(
        "POST",
        "/api/v1/problems",
        access=needs(Right.MAKE_PROBLEMS),
        form=ProblemForm,
        responses={200: ProblemCreated},
    )
    async def create(self, admin: User) -> dict[str, Any]:
        """Create a problem from a package.

        For setters and administrators. The package is a zip of tests, or a package of another judge. Title,
        limits and comparison default to the package's, then to the server's. An invalid package is refused with the
        name of the faulty file; so is a package whose checker or interactor does not compile. If this node cannot
        compile it, the response says so (``unchecked``), and a judge node checks it later.
        """
        async with self._publishing.received() as form:
            problem = (await self._publishing.create(form, admin)).problem
        created = ProblemCreated(
            id=problem.id, status="created", minio_path=problem.data_path, unchecked=problem.unchecked
        )
        answer = reply(created)
        if problem.unchecked is None:  # clients know the usual response without this key
            del answer["unchecked"]
        return answer

    @route("GET", "/api/v1/problems/<problem_id>", access=READER, responses={200: ProblemView})
    async def show(self, reader: User | None, problem_id: str) -> ProblemView:
        """One problem.

        A draft is shown with the token of the account that made it, or of one that sees all problems; a private problem
        also with that of a member of its groups.
        """
        problem = await problem_for(self._problems, problem_id, reader)
        return await self._view(problem, reader)

    @route("GET", "/api/v1/problems", access=READER, query=ProblemQuery, responses={200: ProblemPage})
    async def problems(self, reader: User | None) -> ProblemPage:
        """List problems in pages, by id or in another order.

        Send ``next`` of a page as ``after`` to get the following page. A page has the
        problems that the caller sees; without a token, the listed ones.
        """
        limit, after = query_number("limit", _PAGE, _MAX_PAGE), query_number("after", 0, _MAX_AFTER)
        tag = query_text("tag", MAX_TAG_CHARS)
        if tag and not tag_of(tag):
            return ProblemPage(problems=[], next=None)
        query = ProblemSearch(
            tag=tag_of(tag),
            difficulty=query_text("difficulty", MAX_DIFFICULTY_CHARS),
            unsolved=query_flag("unsolved"),
            viewer=None if reader is None else reader.id,
            order=_order(),
        )
        problems = await self._problems.find_problems(query, after, limit + 1)
        items = [
            ProblemItem(
                id=problem.id,
                title=problem.title,
                difficulty=problem.difficulty,
                time_limit=problem.time_limit_ms,
                memory_limit=problem.memory_limit_mb,
                version=problem.version,
                visibility=problem.visibility,
                tags=list(problem.tags),
                languages=list(problem.languages),
            )
            for problem in problems[:limit]
        ]
        return ProblemPage(problems=items, next=str(items[-1].id) if len(problems) > limit else None)

    @route(
        "GET",
        "/api/v1/problems/<problem_id>/package",
        access=needs(Right.CHANGE_PROBLEMS),
        responses={
            200: Described(
                description="The package, as it was uploaded.",
                content_type="application/zip",
                headers={"Content-Disposition": "attachment, with a file name"},
            )
        },
        errors=(400,),
    )
    async def package(self, admin: User, problem_id: str) -> Response:
        """Download a problem's package with its test data.

        For administrators and its setter.
        """
        problem = await self._publishing.allowed(admin, Right.CHANGE_PROBLEMS, problem_id)
        return await package_download(self._context, problem)

    @route(
        "PUT",
        "/api/v1/problems/<problem_id>",
        access=needs(Right.CHANGE_PROBLEMS),
        form=ProblemChangeForm,
        responses={200: ProblemChangedView},
    )
    async def change(self, admin: User, problem_id: str) -> ProblemChangedView:
        """Change a problem; omitted fields stay unchanged.

        For administrators and its setter. A new package, new limits or another comparison create a new version of the
        problem, which applies to all later judgings. Existing verdicts do not change: see the rejudge. ``changes``
        lists what a new package changed.
        """
        problem = await self._publishing.allowed(admin, Right.CHANGE_PROBLEMS, problem_id)
        async with self._publishing.received() as form:
            changes = None if form.file is None else await self._replacing.changes(problem, form)
            changed = await self._publishing.change(problem.id, form, admin)
        shown = changes_view(changes) if isinstance(changes, PackageChanges) else None
        return ProblemChangedView(**reply(await self._view(changed, admin)), changes=shown)

    @route(
        "POST",
        "/api/v1/problems/<problem_id>/changes",
        access=needs(Right.CHANGE_PROBLEMS),
        form=ProblemChangeForm,
        responses={200: PackageChangesView},
    )
    async def changes(self, user: User, problem_id: str) -> PackageChangesView:
        """Compare a package with that of a problem, without changing the problem.

        For administrators and its setter. The form is that of the change. Tests are compared by name and by content, so
        a renamed test is recognized.
        """
        problem = await self._publishing.allowed(user, Right.CHANGE_PROBLEMS, problem_id)
        async with self._publishing.received() as form:
            changes = await self._replacing.changes(problem, form, vet=self._vet)
        if not isinstance(changes, PackageChanges):
            raise package_refused(changes)
        return changes_view(changes)

    @route(
        "DELETE",
        "/api/v1/problems/<problem_id>",
        access=needs(Right.CHANGE_PROBLEMS),
        query=DeleteQuery,
        responses={200: ProblemDeleted},
        errors=(409,),
    )
    async def delete(self, admin: User, problem_id: str) -> ProblemDeleted:
        """Delete a problem; with ``force`` also all its submissions.

        For administrators and its setter.
        """
        force = query_flag("force")
        problem = await self._publishing.allowed(admin, Right.CHANGE_PROBLEMS, problem_id)
        await self._publishing.delete(problem.id, admin, force=force)
        return ProblemDeleted(id=problem.id, status="deleted")

    async def _view(self, problem: Problem, reader: User | None) -> ProblemView:
        sees_groups = reader is not None and may(reader, Right.READ_RESULTS, problem.created_by)
        return ProblemView(
            id=problem.id,
            title=problem.title,
            description=problem.description,
            difficulty=problem.difficulty,
            time_limit=problem.time_limit_ms,
            memory_limit=problem.memory_limit_mb,
            compare=problem.compare,
            version=problem.version,
            unchecked=problem.unchecked,
            broken=problem.broken,
            visibility=problem.visibility,
            tags=list(problem.tags),
            languages=list(problem.languages),
            groups=await self._problems.problem_groups(problem.id) if sees_groups else None,
        )


def _order() -> ProblemOrder:
    """Return the order of ``?sort``. Raises Refused."""
    word = request.args.get("sort", ProblemOrder.NUMBER)
    if word not in list(ProblemOrder):
        raise Refused(ApiError.INVALID, field="sort", problem=f"one of {', '.join(ProblemOrder)}")
    return ProblemOrder(word)
