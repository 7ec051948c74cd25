"""Client of the HTTP API: log in, submit, watch. A library without a terminal; ``deepoj/cli/client.py`` has commands.

::

    account = keys.Keyring.of_user().account(url)          the stored token, one file per server
    with ApiClient(url, account.token) as server:          sends requests, with retries within a budget
        job_id = server.submit(body, key=new_key())        the same key in every try: one submission
        for event in watch(server, status_path(job_id)):   the event stream, resumed; otherwise polling
            ...

It blocks: call it in a thread where that matters (``sample`` alone is asynchronous). Failures are ``ServerAway`` (no
answer, or not from a Deep-OJ server) or ``ServerRefused`` (with the server's own sentence). It imports nothing that
only a node needs.
"""

from deepoj.client.server import ApiClient, ServerAway, ServerRefused, new_key
from deepoj.client.watch import WatchEvent, watch

__all__ = ["ApiClient", "ServerAway", "ServerRefused", "WatchEvent", "new_key", "watch"]
