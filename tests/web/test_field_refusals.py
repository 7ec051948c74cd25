"""A field that is refused: the page names its label and what the form allows, not a parameter of the API."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepoj.api.contesting import checked_rules
from deepoj.api.errors import ApiError, Refused
from deepoj.api.signing_in import email_of, username_of
from deepoj.web.contest_forms import rules_of
from deepoj.web.field_refusals import sentence_of
from deepoj.web.forms import SentForm
from deepoj.web.render import gettext_of
from deepoj.words.contests import Contest, ContestKind, ContestRules
from tests.api.house import house
from tests.web.visits import Visit

_RULES = ContestRules(name="Cup", duration_ms=120_000)
_HAPPENED = ("started_at", "frozen_at", "ended_at", "closed_at", "thawed_at", "finalized_at", "end_of_updates_at")
_CONTEST = Contest(
    id=1, key="cup", kind=ContestKind.ICPC, rules=_RULES, created_by=None, countdown_pause_ms=None, removed=(),
    **dict.fromkeys(_HAPPENED),
)  # fmt: skip
_FORM = {"name": "Cup", "freeze": "60", "penalty": "20", "late_step": "1:00"}


def shown(refused: Refused, language: str = "en") -> str:
    return sentence_of(refused, gettext_of(language), is_chinese=language == "zh")


@pytest.mark.parametrize(
    ("rules", "english"),
    [
        (
            {"freeze_ms": 3_600_000},
            "“Frozen for the last … minutes”: from 0 to the minutes of the contest; empty: the board is never frozen.",
        ),
        ({"duration_ms": 0}, "“Length (h:mm)”: from 0:01 to 8784:00."),
        ({"penalty_ms": -1}, "“Penalty in minutes”: from 0 to 527040."),
        ({"languages": ("c++",)}, "“Languages”: keys such as cpp17 and python3, not c++."),
        ({"name": ""}, "“Name”: 1 to 200 printable characters."),
    ],
)
def test_refused_rule_has_its_label_and_the_units_of_the_form(rules: dict[str, Any], english: str) -> None:
    with pytest.raises(Refused) as refused:
        checked_rules(replace(_RULES, **rules), ContestKind.ICPC)
    assert shown(refused.value) == english
    chinese = shown(refused.value, "zh")
    assert chinese.endswith("。")
    assert "ms" not in chinese


def test_refused_account_has_labels_in_both_languages() -> None:
    with pytest.raises(Refused) as refused:
        username_of("a")
    assert shown(refused.value).startswith("“Username”: 3 to 32 letters or digits (2 in Chinese")
    assert shown(refused.value, "zh").startswith("“用户名”填写有误：3")
    with pytest.raises(Refused) as refused:
        email_of("nothing")
    assert shown(refused.value) == "“Email”: this is not an email address."


def test_fault_of_a_whole_package_is_translated_and_one_of_a_file_is_not() -> None:
    refused = Refused(ApiError.INVALID_PACKAGE, problem="The package is not a zip file.")
    assert shown(refused, "zh") == "测试数据包无效：数据包不是 zip 文件。"
    assert shown(refused) == "The test package is invalid: The package is not a zip file."
    assert shown(Refused(ApiError.INVALID_PACKAGE, problem="1.in is odd."), "zh") == "测试数据包无效：1.in is odd."


def test_other_refusals_keep_their_sentences() -> None:
    assert shown(Refused(ApiError.INVALID, field="act", problem="start or cancel")) == (
        "Invalid parameter: act: start or cancel."
    )
    assert shown(Refused(ApiError.USERNAME_TAKEN)) == ApiError.USERNAME_TAKEN.english


async def test_registration_page_says_what_a_username_is(tmp_path: Path) -> None:
    reply = await Visit(house(tmp_path, has_pages=True)).post("/register", {"username": "a", "password": "secret1"})
    assert reply.status == 400
    assert "<p>“Username”: 3 to 32 letters" in reply.text


@pytest.mark.parametrize(("length", "freeze_ms"), [("0:02", None), ("1:00", None), ("1:01", 3_600_000)])
def test_usual_freeze_of_a_new_contest_is_left_out_where_it_does_not_fit(length: str, freeze_ms: int | None) -> None:
    made = rules_of(SentForm({**_FORM, "length": length}), None, ContestKind.ICPC)
    assert made.freeze_ms == freeze_ms


def test_freeze_of_a_contest_that_is_there_stays_as_it_is_written() -> None:
    changed = rules_of(SentForm({**_FORM, "length": "0:02"}), _CONTEST, ContestKind.ICPC)
    assert changed.freeze_ms == 3_600_000, "its page says that it does not fit"


def test_a_form_from_before_the_start_does_not_move_the_end() -> None:
    started = replace(_CONTEST, started_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    with pytest.raises(Refused) as caught:
        rules_of(SentForm({**_FORM, "length": "0:03"}), started, ContestKind.ICPC)
    assert "时钟" in shown(caught.value, "zh")
