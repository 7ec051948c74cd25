"""Contests as the rows of their table, and their rules as the values of statements."""

from __future__ import annotations

import asyncpg

from deepoj.adapters.pg.texts import clean_text
from deepoj.words.contests import Contest, ContestFeedback, ContestKind, ContestRegistration, ContestRules


def rule_values(rules: ContestRules) -> tuple[object, ...]:
    """Return the rules in the order in which statements take them."""
    return (
        clean_text(rules.name),
        clean_text(rules.formal_name),
        rules.is_public,
        rules.start_at,
        rules.duration_ms,
        rules.freeze_ms,
        rules.penalty_ms,
        rules.is_compile_error_free,
        rules.thaw_at,
        rules.feedback.value,
        rules.is_verifying,
        rules.allows_custom_runs,
        rules.late_ms,
        rules.late_step_ms,
        rules.late_percent,
        list(rules.languages),
        rules.registration.value,
    )


def contest_of(row: asyncpg.Record) -> Contest:
    """Return the contest in a row of its table."""
    return Contest(
        id=row["id"],
        key=row["key"],
        kind=ContestKind(row["kind"]),
        rules=ContestRules(
            name=row["name"],
            formal_name=row["formal_name"],
            is_public=row["is_public"],
            start_at=row["start_at"],
            duration_ms=row["duration_ms"],
            freeze_ms=row["freeze_ms"],
            penalty_ms=row["penalty_ms"],
            is_compile_error_free=row["is_compile_error_free"],
            thaw_at=row["thaw_at"],
            feedback=ContestFeedback(row["feedback"]),
            is_verifying=row["is_verifying"],
            allows_custom_runs=row["allows_custom_runs"],
            late_ms=row["late_ms"],
            late_step_ms=row["late_step_ms"],
            late_percent=row["late_percent"],
            languages=tuple(row["languages"]),
            registration=ContestRegistration(row["registration"]),
        ),
        created_by=row["created_by"],
        countdown_pause_ms=row["countdown_pause_ms"],
        removed=tuple((gap.lower, gap.upper) for gap in row["removed"]),
        started_at=row["started_at"],
        frozen_at=row["frozen_at"],
        ended_at=row["ended_at"],
        closed_at=row["closed_at"],
        thawed_at=row["thawed_at"],
        finalized_at=row["finalized_at"],
        end_of_updates_at=row["end_of_updates_at"],
    )
