"""The base classes of all models, and the body of every error.

Unknown keys of requests are ignored, because old clients send more than the API needs. Types are strict: ``"1"`` and
``true`` are not numbers.

The validator of a model is built when the model is first used (``defer_build``): all of them at once took a quarter of
a node's start, and 1.7 MiB of an idle node.
"""

from __future__ import annotations

import typing
from typing import Any

from pydantic import BaseModel, ConfigDict, FailFast, Field


class RequestModel(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(strict=True, extra="ignore", defer_build=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Let each list be read up to its first wrong value: 100,000 errors held the event loop for 2.2 s."""
        super().__pydantic_init_subclass__(**kwargs)
        for field in cls.model_fields.values():
            if any(typing.get_origin(each) is list for each in (field.annotation, *typing.get_args(field.annotation))):
                field.metadata.append(FailFast())


class ResponseModel(BaseModel):
    """The body of an answer."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class ErrorBody(ResponseModel):
    """Body of every error response."""

    error: str = Field(description="one sentence, English or Chinese by Accept-Language")
    code: str = Field(description="error code, for clients to branch on")
    details: Any | None = None


def reply(model: ResponseModel) -> dict[str, Any]:
    """Return the response model as a JSON object."""
    return model.model_dump(mode="json")
