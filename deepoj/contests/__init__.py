"""Times, feeds, boards and rules of contests. Pure: nothing here reads a clock, a file or a store.

The names are those of the ICPC Contest API (https://ccs-specs.icpc.io): contest, problem, team, group, organization,
submission, judgement, award.

    clock.py    the times of the Contest API
    feed.py     the objects of a contest of another system, folded from its event feed of any published version
    board.py    a scoreboard, kept up to date attempt by attempt
    points_board.py  the same where points count: subtasks, and late homework
    replay.py   the scoreboard of a feed of another system, and where its awards differ
    rehearsal.py  the plan of a dress rehearsal from a feed
    ledger.py   a contest of ours, folded from the events of its ledger
    preview.py  what a rejudge would change on the board
    views.py    which of its objects a viewer sees
    reviews.py  the jury's acts on a submission
    cells.py    what is behind a cell of a board
    awards.py   awards, from the jury's board
    clics.py    those objects as JSON of the Contest API
    clics_feed.py  what one viewer sees: every object encoded once, and the event feed
"""
