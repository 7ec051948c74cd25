"""The settings of a node: flag > environment > ``config.yaml`` > default.

::

    fields       how a setting is declared: default, environment name, range, help text

    api          the section ``api``; its groups auth, limits, backpressure and webhooks are modules of their own
    scheduler    the section ``scheduler``
    worker       the section ``worker``
    sandbox      the sections ``path``, ``compile``, ``runner`` and ``security``
    redis        the section ``redis``
    postgres     the section ``postgres``
    object_store the group ``minio`` of ``api`` and ``worker``
    labels       the section ``observability``, and the group ``metrics`` of each role
    roles        the roles of a node, and short names for several
    model        ``Config``: all sections, and the settings of the node as a whole

    loader       ``load``: the only reader of environment and file
    keys         every key: its environment name, its allowed values, and its value with secrets hidden
    draft        settings after reading and before the checks; ``ConfigError``
    rules        the rules between settings, in their order; they are in derived, addresses and checks
    derived      defaults that follow other settings
    addresses    URLs and networks; hides passwords in URLs
    checks       contradictions, warnings, settings without effect; what a node needs to start
    reference    the reference of all settings, as Markdown and as JSON
"""
