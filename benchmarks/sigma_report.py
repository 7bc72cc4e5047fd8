"""Tables of `benchmarks.sigma`: figures in, Markdown out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.sigma_differences import Difference
from benchmarks.sigma_job import Figures
from benchmarks.sigma_lanes import Lane

#: How many times SQLite's speed ours shall be.
SQLITE_BAR = 20.0


@dataclass
class Result:
    """One lane: our figures and those of the peers, and where they differ."""

    lane: Lane
    mine: Figures
    theirs: Mapping[str, Figures] = field(default_factory=dict)
    differing: Mapping[str, Sequence[Difference]] = field(default_factory=dict)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def speeds(figures: Figures, cores: int) -> str:
    """Events per second and core, first pass and best later one."""
    if len(figures.passes_s) == 1:
        return f"{figures.first / cores:,.0f}"
    return f"{figures.first / cores:,.0f} / {figures.later / cores:,.0f}"


def met(first: float, later: float, bar: float) -> str:
    """Which passes meet the bar, in words; "" if there is none."""
    if not bar:
        return ""
    said = {(True, True): "yes", (True, False): "first pass only", (False, True): "later passes only"}
    return f"{bar:,.10g}: {said.get((first >= bar, later >= bar), 'no')}"


def verdict(mine: Figures, theirs: Figures, bar: float) -> tuple[str, str]:
    """The ratio of first and later passes, and which of them meets the bar."""
    first, later = mine.first / theirs.first, mine.later / theirs.later
    return f"{first:.2f} / {later:.2f}", met(first, later, bar)


def side_by_side(results: Sequence[Result], peers: Sequence[str], cores: int) -> str:
    """The table of speeds: ours and the peers'."""
    head = ["lane", "events", "matches", "ours, events/s first / later", "floor: met?"]
    for peer in peers:
        head += [f"matches {peer}", f"{peer}, events/s", "ratio", "bar: met?"]
    rows = []
    for one in results:
        row = [f"{one.lane.name}: {one.lane.about}", f"{one.mine.events:,}", f"{one.mine.count:,}"]
        row += [speeds(one.mine, cores), met(one.mine.first / cores, one.mine.later / cores, one.lane.floor)]
        for peer in peers:
            theirs = one.theirs.get(peer)
            if theirs is None:
                row += ["", "", "", ""]
                continue
            differ = len(one.differing.get(peer, ()))
            mark = " (earlier run)" if theirs.earlier else ""
            ratio, said = verdict(one.mine, theirs, SQLITE_BAR if peer.startswith("sqlite") else one.lane.bar)
            count = f"{theirs.count:,}" + (f" ({differ} rules differ)" if differ else "")
            count += f" ({len(theirs.unable)} rules not expressed)" if theirs.unable else ""
            row += [count, speeds(theirs, cores) + mark, ratio, said]
        rows.append(row)
    return table(head, rows)


def stages(results: Sequence[Result], peers: Sequence[str]) -> str:
    """The table of costs: µs per event by stage, loading, memory."""
    names = ("parse", "fill", "evaluate", "detail")
    head = ["lane", *(f"{name}, µs" for name in names), "load, s", "MB"]
    for peer in peers:
        head += [f"{peer}, µs", "load, s", "MB"]
    rows = []
    for one in results:
        row = [one.lane.name, *(_per_event(one.mine, name) for name in names)]
        row += [f"{one.mine.load_s:.2f}", f"{one.mine.rss_mb}"]
        for peer in peers:
            theirs = one.theirs.get(peer)
            if theirs is None:
                row += ["", "", ""]
                continue
            told = ", ".join(f"{stage} {_per_event(theirs, stage)}" for stage in theirs.stages_s)
            row += [told, f"{theirs.load_s:.2f}", f"{theirs.rss_mb}"]
        rows.append(row)
    return table(head, rows)


def _per_event(figures: Figures, stage: str) -> str:
    if stage not in figures.stages_s:
        return ""
    return f"{figures.stages_s[stage] / figures.events * 1e6:.1f}"


def by_count(results: Sequence[tuple[int, Result]], peers: Sequence[str], cores: int) -> str:
    """Cost against the number of rules."""
    head = ["rules", "lane", "ours, events/s first / later", "µs per event", "load, s", "MB"]
    for peer in peers:
        head += [f"{peer}, events/s", "µs per event", "load, s", "MB"]
    rows = []
    for count, one in results:
        row = [f"{count:,}", one.lane.name, *_cost(one.mine, cores)]
        for peer in peers:
            theirs = one.theirs.get(peer)
            row += ["", "", "", ""] if theirs is None else _cost(theirs, cores)
        rows.append(row)
    return table(head, rows)


def _cost(figures: Figures, cores: int) -> list[str]:
    mark = " (earlier run)" if figures.earlier else ""
    per = 1e6 * cores / figures.later
    return [speeds(figures, cores) + mark, f"{per:.1f}", f"{figures.load_s:.2f}", f"{figures.rss_mb}"]
