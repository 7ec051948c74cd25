"""The tower under the judge step: attempts, compiling, checking, interacting, their caches, and single executions in
the sandbox."""
