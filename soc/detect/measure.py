"""What a correlation measures in a window: entries by event time in, whether its condition holds there out.

A measure shares the window's sorted `times` and `items` and keeps its own sums beside them, so that neither a new
entry nor a moved window recounts anything: `Runs` and `Count` need the times alone, `Sliding` adds and removes what
enters and leaves, `Presence` keeps the times of each rule. All times are µs since 1970; a window is [τ - span, τ].
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final, Protocol

from soc.detect.correlation import NUMERIC, TEMPORAL, Correlation
from soc.detect.correlation_condition import Alternative, predicate

Number = int | Fraction
#: event_count: None; value_count: texts; value_*: a number; temporal: a bit for each rule that found the event.
Item = Any
_RISING: Final = ("gt", "gte")
#: A time before all times, µs.
NEVER: Final = -(1 << 62)


class Measure(Protocol):
    def insert(self, at: int) -> None:
        """An entry now stands at index `at` of times and items."""

    def also(self, at: int, bits: int) -> None:
        """The entry at `at` got further bits (temporal)."""

    def cut(self, n: int) -> None:
        """The first n entries are about to be removed."""

    def holds(self, at: int) -> bool:
        """Whether the condition holds in the window that ends with entry `at` (the last one of its time)."""

    def possible(self, at: int) -> bool:
        """Whether a window that holds entry `at` might meet the condition, quickly; asked of rising ones only."""

    def actual(self, at: int) -> str:
        """What was measured there, for people."""


def rising(correlation: Correlation) -> bool:
    """Whether further events can only make the condition true, so that it may be judged as soon as an event arrives.

    A sum counts as rising: bytes, amounts and durations are not negative. With negative values a sum that was
    reached once stays reached.
    """
    if correlation.type in NUMERIC and correlation.type != "value_sum":
        return False
    condition = correlation.condition
    return not any(t.absent for t in condition.alternatives) and all(op in _RISING for op, _ in condition.compare)


def ahead(correlation: Correlation) -> bool:
    """Whether a `not` looks at the time after an event, so that its window closes one timespan later."""
    rules, ordered = correlation.rules, correlation.type == "temporal_ordered"
    return any(
        not ordered or rules.index(absent) > rules.index(term.present[-1])
        for term in correlation.condition.alternatives
        for absent in term.absent
    )


def measure_of(correlation: Correlation, span: int, times: list[int], items: list[Item]) -> Measure:
    """The measure for a correlation (resolved), on the given lists."""
    condition = correlation.condition
    if correlation.type in TEMPORAL:
        return Presence(correlation, span, times, items)
    test = predicate(condition.compare)
    if correlation.type == "event_count":
        if len(condition.compare) == 1 and condition.compare[0][0] in _RISING:
            op, bound = condition.compare[0]
            return Runs(math.floor(bound) + 1 if op == "gt" else math.ceil(bound), span, times)
        return Count(test, span, times)
    make: Callable[[], Aggregate]
    if correlation.type == "value_count":
        return Sliding(Distinct, test, span, times, items, Distinct())
    if correlation.type == "value_sum":
        return Sliding(Total, test, span, times, items, Positive())
    if correlation.type == "value_avg":
        make = Mean
    else:
        percent = Fraction(50) if condition.percentile is None else Fraction(str(condition.percentile))
        make = lambda: Percentile(percent)  # noqa: E731
    return Sliding(make, test, span, times, items)


class Runs:
    """event_count of at least n: the n-th last entry lies within the window."""

    def __init__(self, n: int, span: int, times: list[int]) -> None:
        self._back, self._span, self._times = max(n, 1) - 1, span, times

    def insert(self, at: int) -> None:
        pass

    def also(self, at: int, bits: int) -> None:
        pass

    def cut(self, n: int) -> None:
        pass

    def holds(self, at: int) -> bool:
        first = at - self._back
        return first >= 0 and self._times[at] - self._times[first] <= self._span

    def possible(self, at: int) -> bool:
        return len(self._times) > self._back

    def actual(self, at: int) -> str:
        return str(at + 1 - bisect_left(self._times, self._times[at] - self._span, 0, at + 1))


class Count(Runs):
    """event_count with any comparison."""

    def __init__(self, test: Callable[[Number], bool], span: int, times: list[int]) -> None:
        super().__init__(1, span, times)
        self._test = test

    def holds(self, at: int) -> bool:
        return self._test(at + 1 - bisect_left(self._times, self._times[at] - self._span, 0, at + 1))


# ---------------------------------------------------------------- values


class Aggregate(Protocol):
    """A number over a multiset of items, kept up to date by adding and removing one."""

    def add(self, item: Item) -> None: ...

    def remove(self, item: Item) -> None: ...

    def number(self) -> Number: ...


class Distinct:
    """How many different items there are."""

    def __init__(self) -> None:
        self._counts: dict[Item, int] = {}

    def add(self, item: Item) -> None:
        self._counts[item] = self._counts.get(item, 0) + 1

    def remove(self, item: Item) -> None:
        left = self._counts[item] - 1
        if left:
            self._counts[item] = left
        else:
            del self._counts[item]

    def number(self) -> Number:
        return len(self._counts)


class Total:
    """Their sum, exact: it does not depend on the order in which they came and went."""

    def __init__(self) -> None:
        self._sum: Number = 0

    def add(self, item: Number) -> None:
        self._sum += item

    def remove(self, item: Number) -> None:
        self._sum -= item

    def number(self) -> Number:
        return self._sum


class Positive(Total):
    """The sum of those above zero."""

    def add(self, item: Number) -> None:
        self._sum += max(item, 0)

    def remove(self, item: Number) -> None:
        self._sum -= max(item, 0)


class Mean(Total):
    """Their mean."""

    def __init__(self) -> None:
        super().__init__()
        self._n = 0

    def add(self, item: Number) -> None:
        self._sum += item
        self._n += 1

    def remove(self, item: Number) -> None:
        self._sum -= item
        self._n -= 1

    def number(self) -> Number:
        return Fraction(self._sum, self._n)


class Percentile:
    """Their percentile, interpolated linearly between the two nearest ranks (Hyndman and Fan 1996, type 7)."""

    def __init__(self, percent: Fraction) -> None:
        self._share = percent / 100
        self._sorted: list[Number] = []

    def add(self, item: Number) -> None:
        insort(self._sorted, item)

    def remove(self, item: Number) -> None:
        del self._sorted[bisect_left(self._sorted, item)]

    def number(self) -> Number:
        rank = self._share * (len(self._sorted) - 1)
        below = math.floor(rank)
        low = self._sorted[below]
        return low if rank == below else low + (self._sorted[below + 1] - low) * (rank - below)


class Sliding:
    """An aggregate over entries [lo, hi) that moves to where it is asked for.

    `bound` is kept over all entries: no window has more. Without it, a crowd that stays below the threshold would be
    measured again at every event time after each event that is out of order.
    """

    def __init__(
        self,
        make: Callable[[], Aggregate],
        test: Callable[[Number], bool],
        span: int,
        times: list[int],
        items: list[Item],
        bound: Aggregate | None = None,
    ) -> None:
        self._bound = bound
        self._make, self._test, self._span, self._times, self._items = make, test, span, times, items
        self._aggregate = make()
        self._lo = self._hi = 0

    def insert(self, at: int) -> None:
        if self._bound is not None:
            self._bound.add(self._items[at])
        if at <= self._lo:
            if self._lo < self._hi or at < self._lo:
                self._lo += 1
                self._hi += 1
        elif at < self._hi:
            self._aggregate.add(self._items[at])
            self._hi += 1

    def also(self, at: int, bits: int) -> None:
        pass

    def possible(self, at: int) -> bool:
        return self._bound is None or self._test(self._bound.number())

    def cut(self, n: int) -> None:
        if self._bound is not None:
            for item in self._items[:n]:
                self._bound.remove(item)
        self._move(max(self._lo, n), max(self._hi, n))
        self._lo -= n
        self._hi -= n

    def holds(self, at: int) -> bool:
        self._move(bisect_left(self._times, self._times[at] - self._span, 0, at + 1), at + 1)
        return self._test(self._aggregate.number())

    def actual(self, at: int) -> str:
        self._move(bisect_left(self._times, self._times[at] - self._span, 0, at + 1), at + 1)
        number = self._aggregate.number()
        return str(number) if number.denominator == 1 else f"{float(number):.6g}"

    def _move(self, lo: int, hi: int) -> None:
        if lo >= self._hi or hi <= self._lo:
            self._aggregate = self._make()
            self._lo = self._hi = lo
        aggregate, items = self._aggregate, self._items
        for i in range(self._hi, hi):
            aggregate.add(items[i])
        for i in range(lo, self._lo):
            aggregate.add(items[i])
        for i in range(hi, self._hi):
            aggregate.remove(items[i])
        for i in range(self._lo, lo):
            aggregate.remove(items[i])
        self._lo, self._hi = lo, hi


# ---------------------------------------------------------------- rules


class Presence:
    """temporal and temporal_ordered: which rules happened when.

    Ordered: rules in the order of the list at times that do not fall; one event may serve several rules. A `not`
    asks for a window without that rule: around the event for temporal (a timespan before to a timespan after), for
    temporal_ordered after it where the rule stands behind all others, before it where not. An alternative with `not`
    holds at an event of one of its rules (ordered: of the last one).
    """

    def __init__(self, correlation: Correlation, span: int, times: list[int], items: list[Item]) -> None:
        self._span, self._times, self._items = span, times, items
        self._ordered = correlation.type == "temporal_ordered"
        self._test = predicate(correlation.condition.compare) if correlation.condition.compare else None
        self._names = correlation.rules
        self._all = range(len(correlation.rules))
        self._terms = [self._indexed(term) for term in correlation.condition.alternatives]
        #: For each rule its times, sorted. Rules that are only ever absent have no entries in the window, times alone.
        self.seen: list[list[int]] = [[] for _ in correlation.rules]

    def _indexed(self, term: Alternative) -> tuple[list[int], list[int]]:
        place = self._names.index
        return [place(r) for r in term.present], [place(r) for r in term.absent]

    def insert(self, at: int) -> None:
        self.also(at, self._items[at])

    def also(self, at: int, bits: int) -> None:
        for rule, seen in enumerate(self.seen):
            if bits >> rule & 1:
                insort(seen, self._times[at])

    def cut(self, n: int) -> None:
        for rule, seen in enumerate(self.seen):
            del seen[: sum(item >> rule & 1 for item in self._items[:n])]

    def holds(self, at: int) -> bool:
        end = self._times[at]
        if self._test is not None:
            return self._test(self._happened(self._all, end - self._span, end))
        return any(self._met(present, absent, end) for present, absent in self._terms)

    def possible(self, at: int) -> bool:
        start, end = self._times[at] - self._span, self._times[at] + self._span
        if self._test is not None:
            return self._test(self._happened(self._all, start, end))
        return any(self._happened(present, start, end) == len(present) for present, _ in self._terms)

    def actual(self, at: int) -> str:
        end = self._times[at]
        return ", ".join(n for i, n in enumerate(self._names) if self._latest(i, end) >= end - self._span)

    def _happened(self, rules: Sequence[int], start: int, end: int) -> int:
        """How many of the rules happened from start to end (ordered: the longest series of them in their order)."""
        if not self._ordered:
            return sum(self._latest(rule, end) >= start for rule in rules)
        # begins[m]: the latest time at which a series of m rules can begin that ends by `end`.
        begins = [end]
        for rule in reversed(rules):
            if not self.seen[rule]:
                continue
            for m in range(len(begins) - 1, -1, -1):
                begin = self._latest(rule, begins[m])
                if begin < start:
                    continue
                if m + 1 == len(begins):
                    begins.append(begin)
                elif begin > begins[m + 1]:
                    begins[m + 1] = begin
        return len(begins) - 1

    def _latest(self, rule: int, end: int) -> int:
        seen = self.seen[rule]
        at = bisect_right(seen, end)
        return seen[at - 1] if at else NEVER

    def _met(self, present: Sequence[int], absent: Sequence[int], end: int) -> bool:
        if self._happened(present, end - self._span, end) < len(present):
            return False
        if not absent:
            return True
        completing = present[-1:] if self._ordered else present
        if not any(self._latest(rule, end) == end for rule in completing):
            return False
        for rule in absent:
            follows = rule > present[-1]
            start = end if self._ordered and follows else end - self._span
            stop = end if self._ordered and not follows else end + self._span
            if self._latest(rule, stop) >= start:
                return False
        return True
