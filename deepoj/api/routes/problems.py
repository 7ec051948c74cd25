"""Problems: managed by administrators, public to read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from deepoj.api.access import ADMIN, PUBLIC
from deepoj.api.body import current_request, text
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import problem_id_of, query_flag, query_number
from deepoj.api.http.upload import Form, received_form
from deepoj.api.models.base import reply
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
from deepoj.api.route import route
from deepoj.api.settings import ApiSettings
from deepoj.judging import compare
from deepoj.packages.formats import PackageFault
from deepoj.packages.publish import MAX_TITLE_CHARS, ProblemRevision, ProblemUpload, UploadRefusal, publish, revise
from deepoj.packages.retire import retire
from deepoj.words.accounts import User
from deepoj.words.problems import Problem, ProblemRefusal

_MAX_DIFFICULTY_CHARS = 32
_PAGE = 50
_MAX_PAGE = 200
_MAX_AFTER = 2**63 - 1


class ProblemRoutes:
    """``/api/v1/problems``."""

    def __init__(self, context: ApiContext) -> None:
        self._context, self._problems, self._settings = context, context.problems, context.settings

    @route(
        "POST",
        "/api/v1/problems",
        access=ADMIN,
        form=ProblemForm,
        responses={200: ProblemCreated},
    )
    async def create(self, _admin: User) -> dict[str, Any]:
        """Create a problem from a package.

        For administrators. The package is a zip of tests, or a Kattis/ICPC, Polygon or DMOJ package. Title, limits and
        comparison default to the package's, then to the server's. An invalid package is refused with the name of the
        faulty file; so is a package whose checker or interactor does not compile. If this node cannot compile it, the
        response says so (``unchecked``), and a judge node checks it later.
        """
        async with _received(self._settings) as form:
            upload = _upload_of(form, self._settings)
            published = await publish(
                self._problems, self._context.blobs, upload, self._settings.problems, vet=self._context.vet
            )
        match published:
            case PackageFault() | UploadRefusal():
                raise _refused(published)
            case _:
                problem = published.problem
                created = ProblemCreated(
                    id=problem.id, status="created", minio_path=problem.data_path, unchecked=problem.unchecked
                )
                answer = reply(created)
                if problem.unchecked is None:  # clients know the usual response without this key
                    del answer["unchecked"]
                return answer

    @route("GET", "/api/v1/problems/<problem_id>", access=PUBLIC, responses={200: ProblemView})
    async def show(self, problem_id: str) -> ProblemView:
        """One problem."""
        number = problem_id_of(problem_id)
        problem = await self._problems.problem(number) if number is not None else None
        if problem is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        return _view(problem)

    @route("GET", "/api/v1/problems", access=PUBLIC, query=ProblemQuery, responses={200: ProblemPage})
    async def problems(self) -> ProblemPage:
        """List problems by id, in pages. Send ``next`` of a page as ``after`` to get the following page."""
        limit, after = query_number("limit", _PAGE, _MAX_PAGE), query_number("after", 0, _MAX_AFTER)
        problems = await self._problems.problems(after, limit + 1)
        items = [
            ProblemItem(
                id=problem.id,
                title=problem.title,
                difficulty=problem.difficulty,
                time_limit=problem.time_limit_ms,
                memory_limit=problem.memory_limit_mb,
                version=problem.version,
            )
            for problem in problems[:limit]
        ]
        return ProblemPage(problems=items, next=str(items[-1].id) if len(problems) > limit else None)

    @route(
        "PUT",
        "/api/v1/problems/<problem_id>",
        access=ADMIN,
        form=ProblemChangeForm,
        responses={200: ProblemView},
    )
    async def change(self, _admin: User, problem_id: str) -> ProblemView:
        """Change a problem; omitted fields stay unchanged.

        For administrators. A new package, new limits or another comparison create a new version of the problem, which
        applies to all later judgings. Existing verdicts do not change: see the rejudge.
        """
        number = problem_id_of(problem_id)
        if number is None or await self._problems.problem(number) is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        async with _received(self._settings) as form:
            revision = _revision_of(form, self._settings)
            changed = await revise(
                self._problems,
                self._context.blobs,
                number,
                revision,
                self._settings.problems,
                vet=self._context.vet,
            )
        match changed:
            case None:
                raise Refused(ApiError.NO_SUCH_PROBLEM)
            case PackageFault() | UploadRefusal():
                raise _refused(changed)
            case _:
                return _view(changed)

    @route(
        "DELETE",
        "/api/v1/problems/<problem_id>",
        access=ADMIN,
        query=DeleteQuery,
        responses={200: ProblemDeleted},
        errors=(409,),
    )
    async def delete(self, _admin: User, problem_id: str) -> ProblemDeleted:
        """Delete a problem; with ``force`` also all its submissions.

        For administrators.
        """
        force, number = query_flag("force"), problem_id_of(problem_id)
        if number is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        match await retire(self._problems, number, force=force):
            case ProblemRefusal.UNKNOWN_PROBLEM:
                raise Refused(ApiError.NO_SUCH_PROBLEM)
            case ProblemRefusal.HAS_SUBMISSIONS:
                raise Refused(ApiError.HAS_SUBMISSIONS)
            case None:
                return ProblemDeleted(id=number, status="deleted")


def _received(settings: ApiSettings) -> AbstractAsyncContextManager[Form]:
    """Receive the multipart form of the current request."""
    return received_form(
        current_request(),
        file_field="file",
        upload_dir=settings.upload_dir,
        max_file_bytes=settings.problem_zip_max_bytes,
        timeout_s=settings.read_timeout_s,
    )


def _refused(fault: PackageFault | UploadRefusal) -> Refused:
    match fault:
        case PackageFault(file, sentence):
            return Refused(ApiError.INVALID_PACKAGE, details={"file": file, "problem": sentence}, problem=sentence)
        case UploadRefusal.NO_TITLE:
            return Refused(ApiError.INVALID, field="title", problem="it is missing, and the package defines none")
        case UploadRefusal.COMPARE_TWICE:
            return Refused(
                ApiError.INVALID, field="compare", problem="the package itself defines how outputs are judged"
            )


def _view(problem: Problem) -> ProblemView:
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
    )


def _upload_of(form: Form, settings: ApiSettings) -> ProblemUpload:
    """Convert the form to an upload; missing or empty fields become None."""
    fields = form.fields
    return ProblemUpload(
        package=_package(form),
        title=_line(fields, "title", MAX_TITLE_CHARS, least=int("title" in fields)) or None,
        time_limit_ms=_number(fields, "time_limit", settings.problems.max_time_limit_ms),
        memory_limit_mb=_number(fields, "memory_limit", settings.problems.max_memory_limit_mb),
        difficulty=_line(fields, "difficulty", _MAX_DIFFICULTY_CHARS),
        compare=_compare(fields.get("compare", "").strip()),
        description=text("description", fields.get("description", "")),
    )


def _revision_of(form: Form, settings: ApiSettings) -> ProblemRevision:
    """Convert the form to a revision; missing fields become None. An empty description or difficulty clears it."""
    fields = form.fields
    return ProblemRevision(
        package=form.file,
        title=_line(fields, "title", MAX_TITLE_CHARS, least=int("title" in fields)) or None,
        time_limit_ms=_number(fields, "time_limit", settings.problems.max_time_limit_ms),
        memory_limit_mb=_number(fields, "memory_limit", settings.problems.max_memory_limit_mb),
        difficulty=_line(fields, "difficulty", _MAX_DIFFICULTY_CHARS) if "difficulty" in fields else None,
        compare=_compare(fields.get("compare", "").strip()),
        description=text("description", fields["description"]) if "description" in fields else None,
    )


def _package(form: Form) -> Path:
    if form.file is None:
        raise Refused(ApiError.INVALID, field="file", problem="the zip of tests is missing")
    return form.file


def _line(fields: Mapping[str, str], name: str, max_chars: int, *, least: int = 0) -> str:
    value = text(name, fields.get(name, "")).strip()
    if not least <= len(value) <= max_chars or not value.isprintable():
        raise Refused(ApiError.INVALID, field=name, problem=f"{least} to {max_chars} printable characters")
    return value


def _number(fields: Mapping[str, str], name: str, maximum: int) -> int | None:
    raw = fields.get(name, "").strip()
    if not raw:
        return None
    number = int(raw) if raw.isascii() and raw.isdigit() and len(raw) <= 10 else 0
    if not 1 <= number <= maximum:
        raise Refused(ApiError.INVALID, field=name, problem=f"a whole number from 1 to {maximum}")
    return number


def _compare(name: str) -> str | None:
    if name and compare.of_text(name) is None:
        ways = ", ".join(compare.WAYS)
        raise Refused(ApiError.INVALID, field="compare", problem=f"one of {ways}, with options such as floats:abs=1e-9")
    return name or None
