"""The kinds of work for which loops of nodes wait."""

from __future__ import annotations

import enum

#: Pause between two looks. It is below the second after which a silent connection is checked before its use
#: (``adapters/pg/pool``): otherwise each look would cost a second round trip.
LOOK_PERIOD_S = 0.9
#: How long an answer may take before the loops ask for themselves. A loaded database is slower than usual: then
#: questions of all loops would not help it.
LOOK_ANSWER_S = 2.0


class WorkKind(enum.StrEnum):
    """Something that a loop may find to do; the names are those of ``waiting_work`` (``sql/queries/waiting.sql``)."""

    #: submissions that are unfinished
    SUBMISSIONS = "submissions"
    #: contests that are not over
    CONTESTS = "contests"
    REJUDGES = "rejudges"
    WEBHOOKS = "webhooks"
    CONTEST_WEBHOOKS = "contest_webhooks"
    #: custom runs to judge or to end, and those whose retention is over
    RUNS = "runs"
    OLD_RUNS = "old_runs"
    RERUNS = "reruns"
    OLD_RERUNS = "old_reruns"
    #: submissions of verifications and of previews to judge, and the verifications and previews to end
    EXAMPLES = "examples"
    VERIFICATIONS = "verifications"
    PREVIEW_JOBS = "preview_jobs"
    PREVIEWS = "previews"
    #: problems whose programs have not been compiled, and those whose statements have not been rendered
    UNCHECKED = "unchecked"
    UNRENDERED = "unrendered"
    #: accounts that are being erased
    ERASURES = "erasures"
