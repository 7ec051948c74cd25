"""Breaks a deployment on purpose, and checks that no submission was lost or judged twice.

A *stage* is a temporary deployment: embedded PostgreSQL and Valkey, a small object store, and nodes as real processes,
which reach the servers over TCP through our proxies. Two kinds of tests run on it:

* the *soak* (``make soak``): a schedule of faults drawn from a seed, and a client that submits throughout;
* the *drills* (``deepoj drill NAME``): a few canary jobs, one fault, and the time it took to recover. With ``--live``
  some of them run against a running system, from outside.

Both record the client's observations, read the ledger, and pass both to the *history checker*. The operator's audit
checks the ledger alone.

    programs   what is submitted, each with the verdict that it must get
    schedule   the faults, drawn from a seed                      ─┐
    history    what was seen and written down, and the checker     │  no IO
    wire       where a request ends, in three protocols           ─┘
    proxy      a TCP link that can be cut, stalled, slowed, robbed of an answer, or made to say something twice
    objects    an object store that speaks enough S3
    servers    PostgreSQL and Valkey, taken away and brought back
    clocks     wall clocks that can be shifted
    nodes      nodes as processes: killed, stopped, stopped short, with a clock and a disk that can be spoilt
    client     submits and polls like a client, and writes down what it saw
    stage      all of that, up and down again: the tree of this process
    faults     what each kind of fault does to a stage
    soak, drills   the two plays
    live       the drills that a running system can be put through; live_canaries submits to it and follows the
               verdicts, victim finds the node that is killed
"""
