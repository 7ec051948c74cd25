"""The process as one supervised tree of Trio nurseries, and the loops in it. ``wiring/children`` puts them together.

::

    tree, scopes        the nurseries: those of the process, and small ones that several modules use
    supervise           restarts children after declared breakages
    prepare             what must hold before children start
    loops, waiting      loops as data, and one statement a second that says which of them have something to do
    intake, gate        when this node takes work, and what becomes of a claim
    leases, work        jobs of submissions: their leases, and from the won claim to the ack
    playground          the same for playground runs
    background          verifications, previews and reruns, with slots that submissions leave
    idle_slots          slots lent to attempts for tests beside each other
    hand_over           events from a request to the stream
    canaries, headers, toolchains          loops of a node that judges
    audits, contests, progress, rehearsals, webhooks    loops of their subjects
"""
