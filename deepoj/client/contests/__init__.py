"""Contests at the client's side: read from files, made and played over the API of a server. A library without a
terminal; ``deepoj/cli/contest*.py`` are the commands.

::

    requests     paths and bodies of requests about contests
    problems     packages of problems that are made for a try
    exchange     a contest as one file: its export and import
    foreign      contest packages of other systems
    feed_files   the event feed of a published contest, as files
    demo         a small contest, played on a server
    rehearsal    a feed's contest, played on a server
"""
