"""The tests of an ICPC/Kattis package and its groups: ``data/sample``, ``data/secret`` and the folders below them.

Groups are named by their path below ``data/`` (``secret/group1``); the root has the empty name.

Points are absolute in all of these formats (``Points``): scores are aggregated and never scaled.

::

    read        ``read_tests``: chooses the format's rules; the test cases
    folders     the folders of ``data`` as a tree, each with the keys of its file
    flags       grader flags: how a group's verdict and score follow from its members'
    legacy      the legacy format, by the rules of Kattis
    domjudge    the legacy format, by the rules of DOMjudge
    draft       2023-07-draft and 2025-09
    kind        the kind of a problem, by its ``problem.yaml``
"""
