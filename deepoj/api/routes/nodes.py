"""The nodes, for operators and administrators."""

from __future__ import annotations

from deepoj.api.access import needs
from deepoj.api.context import ApiContext
from deepoj.api.models.nodes import CanariesView, NodeDiskView, NodeList, NodeView
from deepoj.api.rights import Right
from deepoj.api.route import route
from deepoj.words.accounts import User
from deepoj.words.roster import MAX_NODES, AnnouncedNode


class NodeRoutes:
    """``/api/v1/admin/nodes``."""

    def __init__(self, context: ApiContext) -> None:
        self._roster = context.roster

    @route("GET", "/api/v1/admin/nodes", access=needs(Right.OPERATE), responses={200: NodeList})
    async def nodes(self, _user: User) -> NodeList:
        """List the nodes that were there within a day, with their roles, canaries and disks.

        For operators and administrators. A node announces itself every five seconds; after 11 s without an
        announcement it is not live.
        """
        return NodeList(nodes=[_view(node) for node in await self._roster.announced_nodes(MAX_NODES)])


def _view(node: AnnouncedNode) -> NodeView:
    facts, canaries = node.facts, node.facts.canaries
    return NodeView(
        node=node.node,
        roles=list(facts.roles),
        version=facts.version,
        live=node.is_live,
        takes_work=node.takes_work,
        seen_at=node.seen_at,
        isolation=node.isolation,
        judged_at=node.judged_at,
        languages=dict(node.languages),
        canaries=None
        if canaries is None
        else CanariesView(state=canaries.state.value, since=canaries.since, reason=canaries.reason),
        disks=[
            NodeDiskView(
                directory=disk.directory,
                free_bytes=disk.free_bytes,
                total_bytes=disk.total_bytes,
                free_files=disk.free_files,
                total_files=disk.total_files,
            )
            for disk in facts.disks
        ],
        not_up=dict(facts.not_up),
        clock=facts.clock,
        upkeep=dict(facts.upkeep),
    )
