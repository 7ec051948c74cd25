"""Score a submission: which test is next, the points of each group, the verdict. No run is made here.

There are two ways, by ``Plan.points``. Where points are *shares*, worth is distributed from the root down. A group is
worth its stated score, or the sum of its members' stated scores (for MIN the smallest). Members without a stated score
share the rest equally. Points go up as shares of that worth, so that a group has its full score exactly when each of
its members has:

===  ======================================================
SUM  the members' points added up, scaled to the worth
MIN  worth × the smallest share among the members
ALL  the worth if every member is accepted, else nothing
===  ======================================================

Where points are *absolute* (Kattis' formats and DOMjudge's), a group's score is the sum, minimum, maximum or average of
its members' points, and is not scaled. ``ALL`` gives the group's maximum or nothing. A maximum is only a bound. The
verdict of a group is computed beside its score. It decides whether the rest of the group is judged, and a submission
whose root is not accepted has no score.

Two rules of the package skip tests: a group that depends on a group that is not accepted, and a group that ends at its
first failure (``judge_all`` false). Skipped tests have no points. A MIN group ends early only once its score is 0, so
that skipping the rest does not change its score. A third rule is ours: ``hurry`` skips tests that can no longer change
the verdict or the score.

A System Error of any test, or no judged test at all, makes the whole a System Error with score 0. Judging did not take
place then, and no other test's verdict may replace it.

::

    submission    ``Scoring``: which test is next, which are skipped, the result; points that are shares
    absolute      scores and verdicts where points are absolute
    worth         the worth of tests and groups where points are shares
    tree          groups and tests as a tree, and the order of judging
    outcome       the verdict and points of a test, and of a submission
    faults        why a plan cannot be scored
"""
