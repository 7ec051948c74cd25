"""The settings of a node: flag > environment > ``config.yaml`` > default.

::

    fields         how a setting is declared: default, environment name, range, help text
    api, auth, limits, backpressure, webhooks    the section ``api``, with its large groups apart
    scheduler, worker                the sections of these names
    sandbox                          ``path``, ``compile``, ``runner``, ``security``
    redis, postgres, object_store    the stores
    labels         ``observability``, and the labels of each role's metrics
    roles          the roles of a node, and short names for several
    model          ``Config``: all sections, and the settings of the node as a whole

    draft          settings between reading and checking; ``ConfigError``
    derived        rules: defaults that follow other settings
    addresses      rules: URLs and networks; hides passwords in URLs
    checks         rules: contradictions, dangers, settings without effect
    rules          all rules, in their order
    keys           every key: its environment name, allowed values, and its value with secrets hidden
    loader         ``load``: the only reader of environment and file
"""
