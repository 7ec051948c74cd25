"""Breaking a deployment on purpose, and proving that nothing was lost and nothing doubled.

A *stage* is a deployment of its own: embedded PostgreSQL and Valkey, a small object store, and nodes as real processes,
which reach all of it over TCP through proxies of ours. On it play

* the *soak* (``make soak``): a schedule of faults drawn from a seed, and a client that submits throughout;
* the *drills* (``deepoj drill NAME``): a few canary jobs, one fault, and the time it took to recover. With ``--live``
  some of them play on a running system, from outside.

Both write down what the client saw, read the ledger, and hand the two to the *history checker*; the ledger alone goes
through the audit that an operator has.

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
    live       the drills that a running system can be put through
"""
