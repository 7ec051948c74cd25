"""Settings become adapters, adapters become the children of the tree: the one room that knows which implementation
stands behind which port.

    settings   from the operator's settings to what each part is told
    adapters   which implementation stands behind which port
    children   what a node of these roles consists of
    node       all of it, run
"""
