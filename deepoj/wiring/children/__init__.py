"""The children of a node's tree, by its roles: a file for each nursery of ``nursery/tree.py``.

servers.py  embedded PostgreSQL and Valkey
prepare.py  what is awaited once the servers are up: dependencies, schema, leftovers of a crash, languages
keepers.py  health always; heartbeat, progress, reclaim where the node judges; live results where it serves the API;
            dispatcher and its notification, webhooks (made by webhooks.py), repair, gc, rejudges, pressure by role
jobs.py     the parts of a node that judges: which jobs and playground runs it takes, and how it judges one
background.py
            the programs that it judges below submissions: verifications, previews of rejudges, reruns
intake.py   metrics ports, the API, the canaries, precompiling headers, the consumer, taking custom runs, verifying
parts.py    the objects that they share
"""
