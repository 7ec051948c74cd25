"""Deep-OJ: one program per host that takes submissions over HTTP and judges them in a sandbox. It never loses a
submission and never judges one twice.

The pipeline of a submission::

    client ─ HTTP ─▶ api ─▶ submit (submissions + outbox_events, one transaction, NOTIFY)
                        dispatcher ─▶ stream ─▶ claim ─▶ judge (heartbeat beside it) ─▶ finalize (fenced) ─▶ ack
                        recovery paths: reclaim, repair, gc

A custom run (``POST /run``) waits in a table of its own; its stream entry is only a notification. Its pipeline:
order_run ─▶ run_lease (claim) ─▶ custom_run ─▶ run_lease (finish, or give back; the sweeper).

The packages, and which of them each may import (``tests/unit/test_house.py`` checks this)::

    words     vocabulary; imports no other package of deepoj
    ports     what the steps need from outside, as Protocols           ← words, judging
    observe   every metric and log field, declared once                ← words
    config    the only reader of environment and file                  ← words
    judging   pure knowledge of verdicts, languages, packages; no IO   ← words
    accounts  names and passwords, for the API and the commands        ← words
    pipeline  the steps, one per file; a step imports no other step  ← words, ports, judging, observe
              (compiling, headers, kits, running, checking and vetting are not steps: several steps use them;
              callback_urls is a policy that the API uses, too)
    api       routes, thin over pipeline and ports                     ← words, ports, judging, pipeline, observe,
                                                                         config, accounts
    adapters  implement the ports; foreign exceptions stop here        ← words, ports, judging, observe, config
    nursery   tree (every nursery of the process), supervise, loops    ← words, ports, pipeline, observe, api, config
    wiring    config → adapters → the children of the tree             ← all above
    drill     temporary deployments, broken on purpose; real nodes     ← words, pipeline, adapters
    client    the client side of the HTTP API: a library, and what
              `deepoj login`, `submit`, `status`, `run` do               ← words, judging
    cli       the commands                                             ← all above
"""

__version__ = "0.1.0"
