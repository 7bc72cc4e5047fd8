"""Known differences: a rule of the engine in; what its Lucene query finds more or less than the engine does.

Each is measured against a real server, construct by construct and rule by rule, in tests/services/meaning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from soc.author.lucene import Kind
from soc.author.lucene_regex import widened
from soc.detect import Rule
from soc.detect.detection import Ask, leaves
from soc.detect.pattern import Wild
from soc.detect.predicate import Cidr, Exists, Null, Regex, Text

#: Characters of the longest value that is searched: 4 bytes each fit into Lucene's longest term (32,766 bytes).
LONGEST: Final = 8191

#: Types of fields that are compared as texts, in small letters or exactly.
TEXTS: Final = ("keyword", "exact")

#: Code → what is different; `{fields}` are those that it concerns in the rule.
REASONS: Final = {
    "long": "less: values longer than {longest} characters are not searched ({fields})",
    "case": "more: letter case does not count in a search, but it does in the rule's regular expression ({fields})",
    "counts": "more: a long count of a regular expression has no upper end, {{1,64}} is {{1,}} ({fields})",
    "exact": "less: letter case counts ({fields})",
    "null": "{fields}: a search takes absent, null, an empty list and a value too long to be searched for the same",
    "keywords": "more: words without a field are looked for among the words of an event, JSON's names too; several may "
    "stand apart, and signs between them do not count",
    "alternatives": "more: every one of these names may hold the value, the engine asks the first that the event has "
    "({fields})",
    "letters": "less: composed and decomposed accents, final sigma and the like are different letters ({fields})",
    "network": "less: IPv6 addresses are met in their usual spelling alone ({fields})",
    "text": "less and more: searched by words, Vietnamese marks aside; blanks and signs are not found ({fields})",
    "unsearchable": "less: no type in the index, so not found; the template soc-…@custom may give it one ({fields})",
    "size": "the query has {fields} clauses: a server may refuse it (indices.query.bool.max_clause_count)",
    "feeds": "alone it is no alert: it feeds {fields}, which no query can say",
}

#: What holds for every query, and is not repeated for each.
GENERAL: Final = {
    "scope": "more: the query does not ask for the log source; events of other sources in its indices count, too",
    "numbers": "less: 5 is not 5.0 in a field that is kept as text, and a text is none in one that is kept as numbers",
    "objects": "less: an object where a text was expected is not searched",
    "folding": "both: letters are compared one by one after lower-casing; ſ is not s, ς is not σ, İ is i",
    "names": "both: a field has its mapped names alone; the engine knows the rule's own name and one with blanks, too",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """`code` is one of REASONS; `text` says it for this rule."""

    code: str
    text: str


def differences(rule: Rule, kind: Kind, feeds: Sequence[str] = (), clauses: int = 0) -> tuple[Difference, ...]:
    """Those that apply to the rule, in the order of REASONS. `clauses`: of a query that is large, 0 if it is not."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for ask in leaves(rule.tree):
        for code, name in _of(ask, kind):
            found[code][name] = None
    if clauses:
        found["size"][f"{clauses:,}"] = None
    for correlation in feeds:
        found["feeds"][correlation] = None
    return tuple(
        Difference(code, text.format(fields=", ".join(found[code]), longest=f"{LONGEST:,}"))
        for code, text in REASONS.items()
        if code in found
    )


def _of(ask: Ask, kind: Kind) -> Iterator[tuple[str, str]]:
    if ask.field is None:
        yield "keywords", ""
    names = ask.targets or ((ask.field,) if ask.field else ())
    if len(names) > 1:
        yield "alternatives", " | ".join(names)
    for name in names:
        if (code := {"": "unsearchable", "text": "text"}.get(kind(name))) is not None:
            yield code, name
    shown = names[0] if names else "words"
    texts = any(kind(name) in TEXTS for name in names)
    for predicate in ask.predicates:
        if isinstance(predicate, Null | Exists):
            yield "null", shown
        elif isinstance(predicate, Regex):
            yield "long", shown
            if "i" not in predicate.flags and "(?i" not in predicate.pattern:
                yield "case", shown
            if widened(predicate.pattern):
                yield "counts", shown
        elif isinstance(predicate, Cidr) and texts:
            yield "network", shown
        elif isinstance(predicate, Text):
            if texts and any(isinstance(part, Wild) for part in predicate.parts):
                yield "long", shown
            literal = "".join(part for part in predicate.parts if isinstance(part, str))
            for name in names:
                if kind(name) == "exact" and not (literal == literal.lower() and name.startswith("event.")):
                    yield "exact", name
            if not literal.isascii():
                yield "letters", shown


def clauses(query: str) -> int:
    """About how many clauses a server makes of a query."""
    return query.count(" OR ") + query.count(" AND ") + 1
