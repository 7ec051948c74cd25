"""The awards of a finalized contest, as boards and the contest's page show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deepoj.contests.awards import COMPUTED_AWARD
from deepoj.web.contests import ContestReading
from deepoj.words.contests import EventType


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


#: medal → its name
MEDALS: Mapping[str, str] = {"gold": _("Gold medal"), "silver": _("Silver medal"), "bronze": _("Bronze medal")}
_MEDAL_IDS = {f"{medal}-medal": medal for medal in MEDALS}
_FIRST, _OF_GROUP, _OF_RANK = "first-to-solve-", "group-winner-", "rank-"


@dataclass(frozen=True, slots=True)
class ShownAward:
    """An award with the names of its teams. ``medal``: empty if it is no medal."""

    title: str
    medal: str
    teams: tuple[str, ...]


def medals_of(reading: ContestReading) -> dict[str, str]:
    """Return team → medal, as far as the viewer sees the awards."""
    return {
        team_id: _MEDAL_IDS[award_id]
        for award_id, data in reading.objects(EventType.AWARDS)
        if award_id in _MEDAL_IDS
        for team_id in data["team_ids"]
    }


def shown_awards(reading: ContestReading, translate: Callable[[str], str]) -> list[ShownAward]:
    """Return the awards that the viewer sees: the winner, medals, others. The board shows ranks."""
    names = reading.teams()
    found = {
        award_id: ShownAward(
            _title(reading, award_id, str(data.get("citation") or award_id), translate),
            _MEDAL_IDS.get(award_id, ""),
            tuple(names[team_id] for team_id in data["team_ids"] if team_id in names),
        )
        for award_id, data in reading.objects(EventType.AWARDS)
        if not (award_id.startswith(_OF_RANK) and COMPUTED_AWARD.fullmatch(award_id))
    }
    first = ["winner", *_MEDAL_IDS]
    ordered = [*(one for one in first if one in found), *(one for one in found if one not in first)]
    return [found[award_id] for award_id in ordered if found[award_id].teams]


def _title(reading: ContestReading, award_id: str, citation: str, translate: Callable[[str], str]) -> str:
    """Return what an award is for; of those that people have made, their own citation."""
    if award_id == "winner":
        return translate(_("Contest winner"))
    if award_id in _MEDAL_IDS:
        return translate(MEDALS[_MEDAL_IDS[award_id]])
    if award_id.startswith(_FIRST):
        return translate(_("First to solve problem %(label)s")) % {"label": award_id.removeprefix(_FIRST)}
    group = reading.ledger.of(EventType.GROUPS).get(award_id.removeprefix(_OF_GROUP))
    if award_id.startswith(_OF_GROUP) and group is not None:
        return translate(_("Winner of %(group)s")) % {"group": group["name"]}
    return citation
