"""Pure knowledge of verdicts, languages and problems. The main modules:

::

    problem, languages/, abilities    what is judged: a package, a language, and what this judge supports
    exec_rules, borderline, checkers, interactors    requests to the sandbox, and the meaning of their outcomes
    compare*, interactive, verdicts   the verdict of a test
    scoring/, result, explain         the verdict of a submission, and its reasons
    reuse, promises, verifications    earlier judgings, and what packages promise
    canaries/                         programs with known verdicts
"""
