"""Deep-OJ: one program per host that takes submissions over HTTP, judges them in a sandbox, and never loses one nor
judges one twice.

The walk of a submission::

    client ─ HTTP ─▶ api ─▶ submit (submissions + outbox_events, one transaction, NOTIFY)
                        dispatcher ─▶ stream ─▶ claim ─▶ judge (heartbeat beside it) ─▶ finalize (fenced) ─▶ ack
                        ways back: reclaim, repair, gc

A custom run (``POST /run``) waits in a table of its own, and its entry in the stream only wakes: order_run ─▶ run_lease
(claim) ─▶ custom_run ─▶ run_lease (finish, or give back; the broom).

The rooms, and who may import whom (``tests/unit/test_house.py`` holds this)::

    words     vocabulary; imports nothing of ours
    ports     what the steps need from outside, as Protocols           ← words, judging
    observe   every metric and log field, declared once                ← words
    config    the only reader of environment and file                  ← words
    judging   pure knowledge of verdicts, languages, packages; no IO   ← words
    accounts  names and passwords, for the API and the commands        ← words
    pipeline  the walk, a step a file; steps do not know each other    ← words, ports, judging, observe
              (compiling, headers, kits, running, checking and vetting are no steps: several do them;
              callback_urls is a policy that the API asks, too)
    api       routes, thin over pipeline and ports                     ← words, ports, judging, pipeline, observe,
                                                                         config, accounts
    adapters  the outer wall; foreign exceptions stop here             ← words, ports, judging, observe, config
    nursery   tree (every nursery of the process), supervise, loops    ← words, ports, pipeline, observe, api, config
    wiring    config → adapters → the children of the tree             ← all above
    drill     throw-away deployments, broken on purpose; real nodes    ← words, pipeline, adapters
    client    a person's side of the HTTP API: a library, and what
              `deepoj login`, `submit`, `status`, `run` do               ← words, judging
    cli       the commands                                             ← all above
"""

__version__ = "0.1.0"
