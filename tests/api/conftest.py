"""Logs of the API's tests, rendered as in production: an undeclared field fails the test. And what is compiled once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import jinja2
import pytest
from werkzeug.routing import Rule

from deepoj import observe
from tests.logs import logs_put_back


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """The log lines written so far."""
    with logs_put_back():
        lines = io.StringIO()
        observe.configure("json", stream=lines, strict=True)
        yield lines


@pytest.fixture(scope="session", autouse=True)
def builders_compiled_once() -> Iterator[None]:
    """Compile the URL builders of each route once for all applications.

    werkzeug compiles two functions for each route, which is most of the time to make an application. They depend on
    the route alone.
    """
    compile_builder, compiled = Rule._compile_builder, dict[tuple[object, ...], Callable[..., Any]]()

    def builder(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
        key = (rule.rule, tuple(rule._trace), repr(rule.defaults), append_unknown)
        if key not in compiled:
            compiled[key] = compile_builder(rule, append_unknown)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", builder)
        yield


@pytest.fixture(scope="session", autouse=True)
def templates_compiled_once() -> Iterator[None]:
    """Compile each template once for all applications, which takes most of the time of the first page of each.

    All environments of the pages have the same settings, which is all that the code of a template depends on.
    """
    compile_template, compiled = jinja2.Environment.compile, dict[tuple[object, ...], Any]()

    def compile_once(environment: jinja2.Environment, source: Any, *place: Any, **options: Any) -> Any:
        key = (source, place, *options.items())
        if key not in compiled:
            compiled[key] = compile_template(environment, source, *place, **options)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", compile_once)
        yield
