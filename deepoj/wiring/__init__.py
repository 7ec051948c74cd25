"""Build a node: settings become adapters, and adapters become the children of the tree. Only this package knows which
implementation is used for which port.

    settings   converts the operator's settings into those of each part
    adapters   opens the implementation of each port
    children   makes the children of a node with given roles
    node       runs the node
"""
