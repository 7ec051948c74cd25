"""Contests at the client's side: read from files, made and played over the API of a server. A library without a
terminal; ``deepoj/cli/contest*.py`` are the commands.

::

    foreign      contest packages of other systems
"""
