"""Creating, changing and deleting problems, as routes and pages do them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from deepoj.api.body import current_request, text
from deepoj.api.catalog import maker_with, problem_for
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import problem_id_of
from deepoj.api.http.upload import CheckFields, Form, received_form
from deepoj.api.rights import Right, may, require
from deepoj.api.settings import ApiSettings
from deepoj.judging import compare
from deepoj.judging.outputs import language_of
from deepoj.packages.formats import PackageFault
from deepoj.packages.publish import (
    MAX_TITLE_CHARS,
    ProblemRevision,
    ProblemUpload,
    Published,
    UploadRefusal,
    publish,
    revise,
)
from deepoj.packages.retire import retire
from deepoj.words.accounts import User
from deepoj.words.names import is_line
from deepoj.words.problems import (
    MAX_DIFFICULTY_CHARS,
    MAX_TAG_CHARS,
    MAX_TAGS,
    Problem,
    ProblemRefusal,
    Visibility,
    tag_of,
    tags_of,
)

#: groups that see a private problem
MAX_GROUPS = 100


class Publishing:
    """Publishes packages. All methods raise Refused, StoreUnavailable or BlobsUnavailable."""

    def __init__(self, context: ApiContext) -> None:
        self._context, self._problems, self._settings = context, context.problems, context.settings

    async def problem(self, problem_id: str) -> Problem:
        """Return the problem with an id from a path."""
        number = problem_id_of(problem_id)
        problem = await self._problems.problem(number) if number is not None else None
        if problem is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        return problem

    async def allowed(self, user: User, right: Right, problem_id: str) -> Problem:
        """Return the problem if the user has the right to it. It does not exist for those who do not see it."""
        problem = await problem_for(self._problems, problem_id, user)
        if may(user, right, problem.created_by) and not may(user, right, maker_with(right, problem)):
            raise Refused(ApiError.RESULTS_IN_CONTEST)
        require(user, right, problem.created_by)
        return problem

    def received(self, check_fields: CheckFields | None = None) -> AbstractAsyncContextManager[Form]:
        """Receive the multipart form of the current request, with the package in the field ``file``."""
        return received_form(
            current_request(),
            file_field="file",
            upload_dir=self._settings.upload_dir,
            max_file_bytes=self._settings.problem_zip_max_bytes,
            timeout_s=self._settings.read_timeout_s,
            check_fields=check_fields,
        )

    async def create(self, form: Form, user: User) -> Published:
        """Create a problem from a form with a package."""
        upload, groups = _upload_of(form, self._settings), _groups(form.fields)
        await self._require_groups(groups)
        published = await publish(
            self._problems,
            self._context.blobs,
            upload,
            self._settings.problems,
            vet=self._context.vet,
            statements=self._context.publish_statements,
            by=user.username,
            created_by=user.id,
        )
        match published:
            case PackageFault() | UploadRefusal():
                raise package_refused(published)
            case _:
                await self._set_groups(published.problem.id, groups, user)
                return published

    async def change(self, problem_id: int, form: Form, user: User) -> Problem:
        """Change a problem; omitted fields stay unchanged."""
        revision, groups = revision_of(form, self._settings), _groups(form.fields)
        await self._require_groups(groups)
        opens = revision.visibility is Visibility.PRIVATE
        if opens:  # groups first: if we die in between, the members of former groups would see the problem
            await self._set_groups(problem_id, groups, user)
        changed = await revise(
            self._problems,
            self._context.blobs,
            problem_id,
            revision,
            self._settings.problems,
            vet=self._context.vet,
            statements=self._context.publish_statements,
            by=user.username,
        )
        match changed:
            case None:
                raise Refused(ApiError.NO_SUCH_PROBLEM)
            case PackageFault() | UploadRefusal():
                raise package_refused(changed)
            case _:
                if not opens:
                    await self._set_groups(problem_id, groups, user)
                return changed

    async def _require_groups(self, names: Sequence[str] | None) -> None:
        """Raise Refused for a name that no group has, before anything is stored."""
        unknown = frozenset() if not names else await self._problems.unknown_groups(names)
        if unknown:
            raise Refused(ApiError.UNKNOWN_GROUP, field="groups", group=min(unknown))

    async def _set_groups(self, problem_id: int, names: Sequence[str] | None, user: User) -> None:
        if names is not None:
            await self._problems.set_problem_groups(problem_id, names, by=user.username)

    async def delete(self, problem_id: int, user: User, *, force: bool) -> None:
        """Delete a problem; with ``force`` also all its submissions."""
        match await retire(self._problems, problem_id, force=force, by=user.username):
            case ProblemRefusal.UNKNOWN_PROBLEM:
                raise Refused(ApiError.NO_SUCH_PROBLEM)
            case ProblemRefusal.IN_CONTEST:
                raise Refused(ApiError.PROBLEM_IN_CONTEST)
            case ProblemRefusal.HAS_SUBMISSIONS:
                raise Refused(ApiError.HAS_SUBMISSIONS)
            case None:
                return


def package_refused(fault: PackageFault | UploadRefusal) -> Refused:
    """Return the refusal of an upload."""
    match fault:
        case PackageFault(file, sentence):
            return Refused(ApiError.INVALID_PACKAGE, details={"file": file, "problem": sentence}, problem=sentence)
        case UploadRefusal.NO_TITLE:
            return Refused(ApiError.TITLE_MISSING, field="title")
        case UploadRefusal.COMPARE_TWICE:
            return Refused(
                ApiError.INVALID, field="compare", problem="the package itself defines how outputs are judged"
            )


def _upload_of(form: Form, settings: ApiSettings) -> ProblemUpload:
    """Convert the form to an upload; missing or empty fields become None."""
    fields = form.fields
    return ProblemUpload(
        package=_package(form),
        title=_line(fields, "title", MAX_TITLE_CHARS, least=int("title" in fields)) or None,
        time_limit_ms=_number(fields, "time_limit", settings.problems.max_time_limit_ms),
        memory_limit_mb=_number(fields, "memory_limit", settings.problems.max_memory_limit_mb),
        difficulty=_line(fields, "difficulty", MAX_DIFFICULTY_CHARS),
        compare=_compare(fields.get("compare", "").strip()),
        description=text("description", fields.get("description", "")),
        visibility=_visibility(fields) or Visibility.LISTED,
        tags=_tags(fields),
        languages=_languages(fields) or (),
    )


def revision_of(form: Form, settings: ApiSettings) -> ProblemRevision:
    """Convert the form to a revision; missing fields become None. An empty description or difficulty clears it."""
    fields = form.fields
    return ProblemRevision(
        package=form.file,
        title=_line(fields, "title", MAX_TITLE_CHARS, least=int("title" in fields)) or None,
        time_limit_ms=_number(fields, "time_limit", settings.problems.max_time_limit_ms),
        memory_limit_mb=_number(fields, "memory_limit", settings.problems.max_memory_limit_mb),
        difficulty=_line(fields, "difficulty", MAX_DIFFICULTY_CHARS) if "difficulty" in fields else None,
        compare=_compare(fields.get("compare", "").strip()),
        description=text("description", fields["description"]) if "description" in fields else None,
        visibility=_visibility(fields),
        tags=_tags(fields),
        languages=_languages(fields),
    )


def _package(form: Form) -> Path:
    if form.file is None:
        raise Refused(ApiError.INVALID, field="file", problem="the zip of tests is missing")
    return form.file


def _line(fields: Mapping[str, str], name: str, max_chars: int, *, least: int = 0) -> str:
    value = text(name, fields.get(name, "")).strip()
    if not least <= len(value) <= max_chars or not is_line(value):
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


def _visibility(fields: Mapping[str, str]) -> Visibility | None:
    raw = fields.get("visibility", "").strip()
    if raw and raw not in list(Visibility):
        raise Refused(ApiError.INVALID, field="visibility", problem=f"one of {', '.join(Visibility)}")
    return Visibility(raw) if raw else None


def _tags(fields: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the tags of the form; None: it names none. An empty field names no tags."""
    if "tags" not in fields:
        return None
    sent = [tag for tag in text("tags", fields["tags"]).split(",") if tag.strip()]
    tags = tags_of(sent)
    if len(sent) > MAX_TAGS or not all(map(tag_of, sent)):
        problem = f"at most {MAX_TAGS} tags of at most {MAX_TAG_CHARS} printable characters, separated by commas"
        raise Refused(ApiError.INVALID, field="tags", problem=problem)
    return tags


def _languages(fields: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the keys of languages of the form; None: it names none. An empty field means all languages."""
    if "languages" not in fields:
        return None
    keys = dict.fromkeys(key.strip() for key in fields["languages"].split(",") if key.strip())
    for key in keys:
        language = language_of(key)
        if language is None or language.key != key:
            problem = "keys of languages, separated by commas; see GET /api/v1/languages"
            raise Refused(ApiError.INVALID, field="languages", problem=problem)
    return tuple(keys)


def _groups(fields: Mapping[str, str]) -> list[str] | None:
    """Return the names of groups of the form; None: it does not name them. An empty field means no groups."""
    if "groups" not in fields:
        return None
    names = [name.strip() for name in text("groups", fields["groups"]).splitlines() if name.strip()]
    if len(names) > MAX_GROUPS:
        raise Refused(ApiError.INVALID, field="groups", problem=f"at most {MAX_GROUPS} groups, one a line")
    return names


def _compare(name: str) -> str | None:
    if name and compare.of_text(name) is None:
        ways = ", ".join(compare.WAYS)
        raise Refused(ApiError.INVALID, field="compare", problem=f"one of {ways}, with options such as floats:abs=1e-9")
    return name or None
