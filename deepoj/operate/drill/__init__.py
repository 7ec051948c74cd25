"""Breaks a deployment on purpose, and checks that no submission was lost or judged twice.

A *stage* is a temporary deployment: embedded PostgreSQL and Valkey, a small object store, and nodes as real processes,
which reach the servers over TCP through our proxies. Two kinds of tests run on it:

* the *soak* (``make soak``): a schedule of faults drawn from a seed, and a client that submits throughout;
* the *drills* (``deepoj drill NAME``): a few canary jobs, one fault, and the time it took to recover. With ``--live``
  some of them run against a running system, from outside.

Both record the client's observations, read the ledger, and pass both to the *history checker*. The operator's audit
checks the ledger alone.

    programs   the submitted programs with their expected verdicts
    schedule   the faults, drawn from a seed                      ─┐
    history    the client's and the database's records, checked    │  no IO
    wire       parses requests of three protocols                 ─┘
    proxy      a TCP link that can be cut, stalled or slowed, lose an answer, or repeat a request
    objects    an object store with as much of S3 as the nodes use
    servers    PostgreSQL and Valkey, which can be stopped, killed and restarted
    clocks     wall clocks that can be shifted
    nodes      nodes as processes, which can be killed, stopped and paused, with a clock and a disk to disturb
    client     submits and polls like a client, and records what it observes
    stage      starts and stops all of these: the nursery tree of this process
    faults     what each kind of fault does to a stage
    soak, drills   the two kinds of tests
    live       the drills that can be run against a running system; live_canaries submits to it and awaits the
               verdicts, victim finds the node to kill
"""
