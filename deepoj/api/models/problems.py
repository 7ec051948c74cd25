"""Problems: uploaded, changed, listed, deleted."""

from __future__ import annotations

from pydantic import BaseModel, Field
from quart_schema.pydantic import File

from deepoj.api.models.base import RequestModel, ResponseModel
from deepoj.words.problems import ProblemOrder, Visibility

_TAGS = "separated by commas; at most 20 of 40 characters"
_LANGUAGES = "keys of the languages that it takes, separated by commas; empty: all"
_GROUPS = "names of the groups that see it while it is private, one a line"


class ProblemForm(RequestModel):
    """A new problem and its tests."""

    title: str | None = Field(None, description="1 to 200 characters; default: the package's title")
    file: File = Field(
        description="a zip of test cases (1.in beside 1.out or 1.ans, in any folder), or a Kattis/ICPC, Polygon or"
        " DMOJ package"
    )
    description: str = ""
    time_limit: int | None = Field(None, description="CPU ms per test; default: the package's, then the server's")
    memory_limit: int | None = Field(None, description="MB per test; default: the package's, then the server's")
    difficulty: str = ""
    compare: str | None = Field(
        None, description="tokens, exact, floats:abs=1e-9, …; only if the package does not define it"
    )
    visibility: Visibility | None = Field(None, description="default: listed")
    tags: str | None = Field(None, description=f"{_TAGS}; default: the package's")
    languages: str | None = Field(None, description=_LANGUAGES)
    groups: str | None = Field(None, description=_GROUPS)


class ProblemCreated(ResponseModel):
    """The problem that was created."""

    id: int
    status: str
    minio_path: str
    unchecked: str | None = Field(None, description="why the package's programs are not compiled yet; null otherwise")


class ProblemDeleted(ResponseModel):
    """The problem that was deleted."""

    id: int
    status: str


class ProblemChangeForm(RequestModel):
    """Changes of a problem; omitted fields stay unchanged."""

    title: str | None = Field(None, description="1 to 200 characters")
    file: File | None = Field(None, description="the new package")
    description: str | None = None
    time_limit: int | None = Field(None, description="CPU milliseconds per test; default: the new package's")
    memory_limit: int | None = Field(None, description="MB per test; default: the new package's")
    difficulty: str | None = None
    compare: str | None = Field(None, description="not allowed with a package that defines it")
    visibility: Visibility | None = None
    tags: str | None = Field(None, description=_TAGS)
    languages: str | None = Field(None, description=_LANGUAGES)
    groups: str | None = Field(None, description=_GROUPS)


class ProblemQuery(BaseModel):
    """Page of problems."""

    limit: int | None = Field(None, ge=1, le=200, description="maximum number of entries; default 50")
    after: int | None = Field(None, ge=1, lt=2**63, description="`next` of the previous page")
    tag: str | None = Field(None, max_length=40, description="only problems with this tag")
    difficulty: str | None = Field(None, max_length=32, description="only problems of this difficulty, in any case")
    unsolved: bool | None = Field(None, description="only problems that the caller has not solved; without a token all")
    sort: ProblemOrder | None = Field(
        None,
        description="the order; default number. In the others a page after a problem that was deleted meanwhile begins "
        "the list again",
    )


class ProblemItem(ResponseModel):
    """A problem in a list."""

    id: int
    title: str
    difficulty: str
    time_limit: int = Field(description="CPU milliseconds per test")
    memory_limit: int = Field(description="MB per test")
    version: int
    visibility: Visibility
    tags: list[str]
    languages: list[str] = Field(description="keys of the languages that it takes; empty: all")


class ProblemPage(ResponseModel):
    """Problems, sorted by id."""

    problems: list[ProblemItem]
    next: str | None = Field(description="value of ?after= for the next page; null on the last page")


class DeleteQuery(BaseModel):
    """Whether to delete the problem's submissions with it."""

    force: bool | None = Field(None, description="delete its submissions too")


class ProblemView(ResponseModel):
    """The public view of a problem."""

    id: int
    title: str
    description: str
    difficulty: str
    time_limit: int = Field(description="CPU milliseconds per test")
    memory_limit: int = Field(description="MB per test")
    compare: str = Field(description="how outputs are compared; package: as the package defines, or by its checker")
    version: int
    unchecked: str | None = Field(
        description="why the programs of the package (checker, interactor) have not been compiled yet; null have"
    )
    broken: str | None = Field(description="which of these programs failed to compile later; null if none")
    visibility: Visibility
    tags: list[str]
    languages: list[str] = Field(description="keys of the languages that it takes; empty: all")
    groups: list[str] | None = Field(
        description="groups that see it while it is private; null for those who may not read its results"
    )
