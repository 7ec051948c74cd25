"""The nodes, as they announce themselves."""

from __future__ import annotations

from pydantic import Field

from deepoj.api.models.base import ResponseModel


class CanariesView(ResponseModel):
    """The canaries of a node that judges: programs with known verdicts that it judges again and again."""

    state: str = Field(description="up: as expected; down: one differs; starting: the first round is under way")
    since: str | None = Field(description="by the node's clock")
    reason: str = Field(description="why the node takes no work; empty: it does")


class NodeDiskView(ResponseModel):
    """The file system of one of a node's directories."""

    directory: str = Field(description="work or blobs")
    free_bytes: int
    total_bytes: int
    free_files: int = Field(description="files that can still be made; 0 of 0: no fixed number, or not known")
    total_files: int


class NodeView(ResponseModel):
    """A node that was there within a day."""

    node: str
    roles: list[str] = Field(description="empty: a node of an older version")
    version: str
    live: bool = Field(description="whether it announced itself within 11 s")
    takes_work: bool = Field(description="whether it takes submissions now")
    seen_at: str = Field(description="its last announcement")
    isolation: str | None = Field(description="weak, namespaces or full; null: it does not judge, or is not known")
    judged_at: str | None = Field(description="its latest verdict; null: none of late")
    languages: dict[str, str] = Field(description="language key and version; empty: it does not judge")
    canaries: CanariesView | None = Field(description="null: it does not judge, or a node of an older version")
    disks: list[NodeDiskView]
    not_up: dict[str, str] = Field(description="parts that keep it from judging and are not up, with their reasons")
    clock: str | None = Field(description="its clock at its last announcement; null: a node of an older version")
    upkeep: dict[str, int] = Field(
        description="counts of repair, deletion and failed canaries since the node's start, without zeros"
    )


class NodeList(ResponseModel):
    """The nodes of the system."""

    nodes: list[NodeView]
