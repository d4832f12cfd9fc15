"""What switching schedules off, or putting them back, would do: a table with a digest. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

from vmqlib.errors import BadInput, VmqError, WorldChanged
from vmqlib.record.canonical import canonical, digest
from vmqlib.runbook.patience import Patience
from vmqlib.runbook.resync.readiness import DataSource, data_source
from vmqlib.runbook.stabilize.expression import check_expression
from vmqlib.runbook.stabilize.story import Verb, story
from vmqlib.settings import Connector
from vmqlib.sources.base import gather

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings

__all__ = ["COLUMNS", "Blocked", "ScheduleItem", "SchedulePlan", "plan_disable", "plan_restore"]

COLUMNS = ("connector", "data_source_id", "type", "status", "now", "wanted", "action", "why")

Blocked = Literal["", "custom", "changed"]
_NO_SCHEDULES = "CUSTOM"


@dataclass(frozen=True)
class ScheduleItem:
    """One data source.

    Parameters
    ----------
    data_source_id, name:
        Which; what people call it.
    kind, status:
        Its type and status, as Q Business says.
    now, wanted:
        Its schedule, and what it is to become; empty means on demand.
    action:
        ``disable``, ``restore``; ``note`` where it is as wanted already and only the journal does not know; ``none``.
    why:
        In a sentence, where the action is none or a note.
    blocked:
        ``custom``: that type has no schedule. ``changed``: somebody else changed it meanwhile.
    """

    data_source_id: str
    name: str
    kind: str
    status: str
    now: str
    wanted: str
    action: str
    why: str = ""
    blocked: Blocked = ""


@dataclass(frozen=True)
class SchedulePlan:
    """What would be done.

    Parameters
    ----------
    verb:
        ``disable`` or ``restore``.
    incident_id, region, app_id, index_id:
        Whose, and where.
    items:
        One for each data source.
    """

    verb: Verb
    incident_id: str
    region: str
    app_id: str
    index_id: str
    items: tuple[ScheduleItem, ...]

    @cached_property
    def digest(self) -> str:
        """Of everything that matters: another schedule meanwhile, and it is another plan."""
        return digest(canonical(_plain(self)))

    @property
    def changes(self) -> tuple[ScheduleItem, ...]:
        """The items that change something in AWS."""
        return tuple(item for item in self.items if item.action in ("disable", "restore"))

    @property
    def notes(self) -> tuple[ScheduleItem, ...]:
        """The items that the journal is to be told of: they are as wanted already."""
        return tuple(item for item in self.items if item.action == "note")

    @property
    def summary(self) -> str:
        """One sentence for people."""
        if not self.changes:
            return "Nothing is to be changed."
        verb = "Switch off" if self.verb == "disable" else "Put back"
        return f"{verb}: " + "; ".join(
            f"{item.name} ({item.now or 'on demand'} -> {item.wanted or 'on demand'})"
            for item in self.changes
        )

    @property
    def refusal(self) -> VmqError | None:
        """Why some of it cannot be done: exit code 2 for a type without schedules, 4 for what somebody changed."""
        for item in self.items:
            if item.blocked == "changed":
                return WorldChanged(
                    f"The schedule of {item.name} was left alone: {item.why}",
                    hint="Agree with whoever set it (aws cloudtrail lookup-events --lookup-attributes "
                    "AttributeKey=EventName,AttributeValue=UpdateDataSource says who); "
                    "`vmq close --schedule-off-reason` says why it stays.",
                )
            if item.blocked == "custom":
                return BadInput(
                    f"{item.name} has no schedule to switch: {item.why}",
                    hint="Its own program decides when it syncs: stop that.",
                )
        return None

    @property
    def frame(self) -> pd.DataFrame:
        """The table: the columns of :data:`COLUMNS`, all text."""
        import pandas as pd

        rows = [
            (
                item.name,
                item.data_source_id,
                item.kind,
                item.status,
                item.now,
                item.wanted,
                item.action,
                item.why,
            )
            for item in self.items
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS), dtype="str")


def _plain(plan: SchedulePlan) -> dict[str, object]:
    return {
        "verb": plan.verb, "incident": plan.incident_id, "region": plan.region, "app": plan.app_id,
        "index": plan.index_id, "items": [asdict(item) for item in plan.items],
    }  # fmt: skip


def plan_disable(
    incident: Incident,
    aws: Aws,
    settings: Settings,
    connectors: Sequence[Connector],
    *,
    patience: Patience | None = None,
) -> SchedulePlan:
    """The plan that switches the schedules of these connectors off (API: GetDataSource).

    Raises
    ------
    AwsError
        When a data source cannot be looked at.
    """
    off = story(incident).off

    def item(connector: Connector, seen: DataSource) -> ScheduleItem:
        ours = off.get(connector.data_source_id)
        if seen.kind == _NO_SCHEDULES:
            return _item(connector, seen, "", "none", "A data source of type CUSTOM has none.", "custom")
        if seen.schedule:
            return _item(connector, seen, "", "disable")
        why = f"{incident.id} switched it off." if ours else "It was off before; not by this incident."
        return _item(connector, seen, "", "none", why)

    return _plan("disable", incident, aws, settings, connectors, item, patience)


def plan_restore(
    incident: Incident,
    aws: Aws,
    settings: Settings,
    connectors: Sequence[Connector],
    *,
    to: str = "",
    patience: Patience | None = None,
) -> SchedulePlan:
    """The plan that puts back what the schedules of these connectors were before this incident switched them off.

    Parameters
    ----------
    to:
        A schedule expression, where that is known by other means: for a schedule that somebody else had emptied, or
        that this incident itself set to something else.

    Raises
    ------
    BadInput
        This incident has not switched one of them off, and no ``to`` is given; ``to`` is no schedule expression.
    AwsError
        When a data source cannot be looked at.
    """
    if to:
        check_expression(to)
    told = story(incident)
    for connector in connectors:
        source = connector.data_source_id
        if not to and source not in told.off and source not in told.pending and source not in told.ever:
            raise BadInput(
                f"{incident.id} has not switched the schedule of {connector.name} off: what it was is not known.",
                hint=f"If you know what it is to be: vmq schedule restore {incident.id} --to 'cron(0 3 * * ? *)'.",
            )

    def item(connector: Connector, seen: DataSource) -> ScheduleItem:
        source = connector.data_source_id
        ours, pending = told.off.get(source), told.pending.get(source)
        before = ours.before if ours else pending.before if pending and pending.verb == "disable" else ""
        restored = told.restored.get(source)
        wanted = to or before or (restored.after if restored else "")
        if seen.kind == _NO_SCHEDULES:
            return _item(connector, seen, wanted, "none", "A data source of type CUSTOM has none.", "custom")
        if seen.schedule == wanted:
            if ours:
                return _item(connector, seen, wanted, "note", "It is back already.")
            return _item(connector, seen, wanted, "none", "It is as it was.")
        if restored is not None and to and seen.schedule == restored.after:
            return _item(connector, seen, wanted, "restore", f"{incident.id} itself set it.")
        if seen.schedule:
            who = "set by somebody else" if ours or restored else f"and {incident.id} did not set it"
            why = f"it is {seen.schedule} now, {who}; it was to be {wanted or 'on demand'}."
            return _item(connector, seen, wanted, "none", why, "changed")
        if not ours and not pending and not to:
            why = f"it was put back to {wanted or 'on demand'}, and somebody has emptied it since."
            return _item(connector, seen, wanted, "none", why, "changed")
        return _item(connector, seen, wanted, "restore")

    return _plan("restore", incident, aws, settings, connectors, item, patience)


def _item(
    connector: Connector, seen: DataSource, wanted: str, action: str, why: str = "", blocked: Blocked = ""
) -> ScheduleItem:
    return ScheduleItem(
        seen.data_source_id,
        connector.name,
        seen.kind,
        seen.status,
        seen.schedule,
        wanted,
        action,
        why,
        blocked,
    )


def _plan(
    verb: Verb,
    incident: Incident,
    aws: Aws,
    settings: Settings,
    connectors: Sequence[Connector],
    item: Callable[[Connector, DataSource], ScheduleItem],
    patience: Patience | None,
) -> SchedulePlan:
    insist = patience or Patience(10)  # somebody sits and waits for it

    def look(connector: Connector) -> DataSource:
        return insist(lambda: data_source(aws, settings, connector.data_source_id))

    seen = gather([partial(look, each) for each in connectors])
    items = tuple(item(connector, one) for connector, one in zip(connectors, seen, strict=True))
    return SchedulePlan(verb, incident.id, aws.region, settings.app_id, settings.index_id, items)
