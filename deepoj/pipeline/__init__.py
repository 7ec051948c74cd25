"""The steps between a submission and its verdict, and the recovery paths: one file each. No step imports another.

::

    submit, outbox, stream, claim, judge, finalize, ack    steps 1 to 7
    heartbeat, progress          beside step 5
    reclaim, repair, gc          recovery paths of the stream
    rejudge, preview, rerun, verify, dlq    judging again, judging beside, and dead letters
    audit, retention             checking the ledger; deleting old submissions
"""
