"""Reviews of a contest's submissions."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deepoj.api.models.base import RequestModel, ResponseModel
from deepoj.api.reviewing import VERDICTS, ReviewFilter
from deepoj.words.contests import ReviewAct


class TextsBody(RequestModel):
    """Lists of texts that shall be replaced; what is omitted stays."""

    categories: list[str] | None = Field(None, description="of questions; if there are any, a question has one of them")
    answers: list[str] | None = Field(None, description="usual answers of the jury")


class TextsView(ResponseModel):
    """Lists of texts of a contest."""

    categories: list[str] = Field(description="of questions")
    answers: list[str] = Field(description="usual answers, for those who run the contest; else empty")


class ReviewQuery(BaseModel):
    """Which submissions are listed."""

    filter: ReviewFilter | None = Field(
        None,
        description="to_verify: the jury must verify them; mine: claimed by you; proposed: an override waits for its"
        " confirmation; ignored: on no board",
    )


class ReviewBody(RequestModel):
    """An act of the jury about a submission."""

    act: ReviewAct = Field(
        strict=False,
        description="claim, release: take it for review, or give it back; verify: the verdict is right, teams may see"
        " it; override: propose another verdict, which counts when another account confirms it; withdraw: drop the"
        " proposal; ignore, restore: it is on no board, or counts again",
    )
    judging: int = Field(0, ge=0, description="number of the judging that you have looked at; not of claim and ignore")
    #: a word here: an unknown one is refused in a sentence that names the known ones
    verdict: str | None = Field(
        None, description="of an override", json_schema_extra={"enum": [*(one.value for one in VERDICTS), None]}
    )
    reason: str = Field("", description="of override and ignore: why, in one line; teams do not see it")


class ReviewView(ResponseModel):
    """A submission of a contest as its jury sees it."""

    id: str
    job_id: str
    team_id: str
    problem: str = Field(description="its label")
    language: str
    at: str
    judging: int = Field(description="number of the judging that counts; 0: it is being judged")
    found: str | None = Field(description="the verdict of the node")
    verdict: str | None = Field(description="the verdict that counts")
    to_verify: bool = Field(description="the jury must verify it before the contest is finalized")
    is_verified: bool
    is_ignored: bool = Field(description="on no board")
    claimed_by: str | None = Field(description="user name")
    override: str | None = Field(description="the verdict that the jury has given")
    proposed: str | None = Field(description="a verdict that waits for its confirmation")
    proposed_by: str | None
    reason: str


class ReviewStepView(ResponseModel):
    """What an account of the jury has done about a submission."""

    act: str
    by: str
    at: str
    verdict: str | None
    reason: str


class ReviewHistory(ReviewView):
    """A submission of a contest with what the jury has done about it, oldest first."""

    history: list[ReviewStepView]


class ReviewList(ResponseModel):
    """The newest 200 submissions that the filter finds, newest first."""

    submissions: list[ReviewView]
