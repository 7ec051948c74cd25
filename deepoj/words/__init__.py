"""The vocabulary: ids, states, verdicts, refusals, breakages, and the frozen messages that the steps exchange.

Every other package of deepoj may import this module; it imports none of them. There are two kinds of "no":

* a *refusal* is an answer (an enum member that a step returns, matched exhaustively by its caller);
* a *breakage* is an exception (a store that cannot be reached, a sandbox that failed), and is raised.

Units are part of every name: ``_s`` seconds, ``_ms`` milliseconds, ``_kb`` KiB, ``_bytes`` bytes.
"""
