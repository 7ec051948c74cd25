"""Deep-OJ: one program per host that takes submissions over HTTP and judges them in a sandbox. It never loses a
submission and never judges one twice.

The pipeline of a submission::

    client ─ HTTP ─▶ api ─▶ submit (submissions + outbox_events, one transaction, NOTIFY)
                        dispatcher ─▶ stream ─▶ claim ─▶ judge (heartbeat beside it) ─▶ finalize (fenced) ─▶ ack
                        recovery paths: reclaim, repair, gc

A playground run (``POST /run``) waits in a table of its own; its stream entry is only a notification. ``playground``
holds its pipeline: order ─▶ lease (claim) ─▶ attempt ─▶ lease (finish, or give back; the sweeper). Slots, heartbeat
and drain are those of submissions (``nursery``). The submissions of a package that is verified wait in a table of their
own, too (``nursery.background``).

The packages, and which of them each may import (``tests/unit/test_house.py`` checks this)::

    words       vocabulary; imports no other package of deepoj
    ports       what the steps need from outside, as Protocols         ← words, judging
    observe     every metric and log field, declared once              ← words
    config      the only reader of environment and file                ← words
    judging     pure knowledge of verdicts, languages, problems; no IO ← words
    contests    times, feeds, boards and rules of contests; no IO      ← words
    accounts    names, passwords and lists of people                   ← words
    execution   what the judge step does: an attempt, compiling,
                checking, interacting, grading, caches, the canaries   ← words, ports, judging, observe
    pipeline    the steps, one per file; a step imports no other step  ← words, ports, judging, observe, execution
    playground  playground runs                                        ← words, ports, judging, observe, execution
    packages    problem packages: read (``formats``), vetted,
                published, deleted                                     ← words, ports, judging, observe, execution
    webhooks    which URLs may be called; deliveries                   ← words, ports, observe
    capacity    how much waits, which nodes are up, is more taken      ← words, ports, observe
    api         routes, thin over the packages above; the HTTP server  ← all above but execution
    web         pages for people, over the same steps as the routes    ← words, ports, judging, observe, accounts,
                                                                         contests, packages, playground, api
    adapters    implement the ports; foreign exceptions stop here      ← words, ports, judging, observe, config,
                                                                         packages/formats, contests
    nursery     tree (the nurseries of the process), supervise, loops  ← words, ports, observe, api, config, pipeline,
                                                                         execution, playground, capacity
    wiring      config → adapters → the children of the tree           ← all above
    operate     doctor, verify, backup, bench, and drills that
                break deployments on purpose; no node imports it       ← all above, sample
    sample      the bundled sample problem                             imports no other package of deepoj
    client      the client side of the HTTP API: a library, and what
                `deepoj login`, `submit`, `status`, `run` do           ← words, judging, sample
                its part ``contests``: contest packages, rehearsals    ← words, judging, contests, packages/formats,
                                                                         sample, client
    cli         the commands                                           ← all above
"""

__version__ = "0.2.0"
