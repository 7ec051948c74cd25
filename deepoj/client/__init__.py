"""A person's side of the HTTP API: log in, send, watch. A library without a terminal; ``deepoj/cli/client.py`` is one.

::

    account = keys.Keyring.of_user().account(url)          where tokens are kept, one file a server
    with Server(url, account.token) as server:             asks, and asks again within a budget
        job_id = server.submit(body, key=new_key())        the same key at every try: one submission
        for event in watch(server, status_path(job_id)):   the event stream, resumed; polling where there is none
            ...

It blocks: call it from a thread where that matters. What goes wrong is ``ServerAway`` (nobody answers, or nobody of
ours) or ``ServerRefused`` (the server's own sentence). It imports nothing that a node needs.
"""

from deepoj.client.server import Server, ServerAway, ServerRefused, new_key
from deepoj.client.watch import Event, watch

__all__ = ["Event", "Server", "ServerAway", "ServerRefused", "new_key", "watch"]
