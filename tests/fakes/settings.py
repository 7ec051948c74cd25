"""Default settings of each part, as a node without any setting has them; tests change single fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deepoj.api.redact import HiddenSteps
from deepoj.api.settings import ApiSettings, RateLimit, RunRules
from deepoj.config.loader import load
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.packages.formats import UnzipLimits
from deepoj.packages.publish import ProblemRules
from deepoj.webhooks.delivery import HookSettings
from deepoj.wiring import settings

_DEFAULTS = load({}, {})


def api_settings(jwt_secret: str, **changed: Any) -> ApiSettings:
    return replace(settings.serving(_DEFAULTS, jwt_secret, "", ""), **changed)


def hidden_steps(**changed: Any) -> HiddenSteps:
    return replace(settings.hidden_steps(_DEFAULTS), **changed)


def hook_settings(secret: bytes, **changed: Any) -> HookSettings:
    return replace(settings.calling_back(_DEFAULTS, secret.decode()), **changed)


def judge_settings(**changed: Any) -> JudgeSettings:
    return replace(settings.judging(_DEFAULTS), **changed)


def problem_rules(**changed: Any) -> ProblemRules:
    return replace(settings.problem_rules(_DEFAULTS), **changed)


def rate_limit(**changed: Any) -> RateLimit:
    return replace(api_settings("a secret").rate, **changed)


def run_rules(**changed: Any) -> RunRules:
    return replace(settings.run_rules(_DEFAULTS), **changed)


def unzip_limits(**changed: Any) -> UnzipLimits:
    return replace(settings.unzipping(_DEFAULTS), **changed)
