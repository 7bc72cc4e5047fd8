"""An episode as a Detection of kind "correlation": window and episode in; what the alert builder and the bus get out.

Its id stays while it grows; of two detections with one id the later told is the newer form. `timestamp` and `last` are
the last event time at which the condition held, `event_id` that event; `fields` are those of the latest event in hand.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from typing import Final

from soc.detect.window import Episode, Window
from soc.event import Detection, Matched

#: Fields of an episode's detection: it holds events that came too late; it was taken up by the episode of that id.
LATE: Final = "soc.late"
MERGED_INTO: Final = "soc.episode.merged_into"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """µs since 1970 of an aware time."""
    return (moment - _EPOCH) // MICROSECOND


def moment(time: int) -> datetime:
    """The aware UTC time of µs since 1970."""
    return _EPOCH + time * MICROSECOND


def told(window: Window, episode: Episode) -> Detection:
    """The episode as it stands; it counts as told."""
    episode.changed = False
    correlation = window.plan.correlation
    count, evidence = window.told(episode)
    at = bisect_right(window.times, episode.last) - 1
    here = at >= 0 and window.times[at] == episode.last
    condition = correlation.condition
    return Detection(
        rule_id=correlation.id,
        title=correlation.title,
        level=correlation.level,
        matched=(
            Matched(
                field=", ".join(condition.fields),
                ecs="",
                op=correlation.type,
                pattern=condition.text,
                actual=window.measure.actual(at) if here else str(count),
            ),
        ),
        rule_version=correlation.version,
        id=episode.id,
        kind="correlation",
        timestamp=moment(episode.last),
        event_id=window.ids[at] if here else evidence[-1],
        fields={**episode.fields, LATE: True} if episode.late else dict(episode.fields),
        group=dict(zip(correlation.group_by, window.group, strict=True)),
        count=count,
        first=moment(episode.first),
        last=moment(episode.last),
        evidence=evidence,
    )


def withdrawn(window: Window, absorbed: str, survivor: Episode) -> Detection:
    """The last word on an episode whose events turned out to belong to another one: count 0, and whose they are."""
    correlation = window.plan.correlation
    return Detection(
        rule_id=correlation.id,
        title=correlation.title,
        level=correlation.level,
        rule_version=correlation.version,
        id=absorbed,
        kind="correlation",
        timestamp=moment(survivor.last),
        event_id=window.told(survivor)[1][-1],
        fields={**survivor.fields, MERGED_INTO: survivor.id},
        group=dict(zip(correlation.group_by, window.group, strict=True)),
        count=0,
        first=moment(survivor.first),
        last=moment(survivor.last),
    )
