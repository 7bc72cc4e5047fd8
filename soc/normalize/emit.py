"""Blocks of a definition → lines of Python. The program text is built from our own literals alone, by repr().

In the emitted code: `e` the event's fields, `d` what the sender wrote, `t` header of the envelope and scratch,
`ls` the logsources, `v` the value at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from soc.event import LogSource, text_of
from soc.normalize import values
from soc.normalize.ecs import ecs
from soc.normalize.model import Assign, Block, Condition, Pairs, Part, Pattern, Patterns, Switch, Test, Value, When
from soc.normalize.patterns import Regex

#: The text of the value at hand; most that are no text are whole numbers.
_TEXT: Final = "v if v.__class__ is str else str(v) if v.__class__ is int else T(v)"
#: A pattern list, by the first word of the text; "" holds those that may match any text.
PatternTable = dict[str, tuple[tuple[Regex, Callable[..., Any]], ...]]


def run_patterns(text: str, table: PatternTable, e: Any, d: Any, t: Any, ls: Any) -> Any:
    """Apply the first pattern that the text matches; its logsources, or None if none matched."""
    for regex, apply in table.get(text.partition(" ")[0]) or table[""]:
        groups = regex.full(text)
        if groups is not None:
            return apply(groups, e, d, t, ls)
    return None


def pairs_of(text: object, pair: str, assign: str) -> Iterable[tuple[str, str]]:
    """K=V,K2=V2 → (K, V), …; pieces without assignment are left out."""
    for piece in text.split(pair) if isinstance(text, str) else ():
        key, assigned, value = piece.partition(assign)
        if assigned:
            yield key.strip(), value.strip()


def _fits(outcome: object, many: bool) -> bool:
    if many:
        return isinstance(outcome, list) and all(isinstance(o, str) for o in outcome)
    return isinstance(outcome, str)


class Emitter:
    """Grows functions; `constants` is the namespace in which they will run."""

    def __init__(self, decoded: str, prefix: str, skip: tuple[str, ...], enveloped: bool, texts: bool) -> None:
        self.decoded = decoded  # the dict that holds the sender's names: "d" or "e"
        self.prefix = prefix
        self.skip = skip
        self.enveloped = enveloped  # `syslog.x` is a header field in `t`
        self.texts = texts  # every decoded value is a text, or a list of texts
        self.lines: list[str] = []
        self.functions: list[str] = []
        self.inner = 0  # how deep within functions that are being grown
        self.switched: tuple[str, bool] | None = None  # the name whose text is in `k`, and whether in small letters
        self.targets: set[str] = set()
        self.late_tables: list[str] = []  # constants that name emitted functions, to be replaced by them
        self.constants: dict[str, Any] = {
            "T": text_of,
            "ADDRESSES": values.ADDRESSES,
            "LONGS": values.LONGS,
            "LISTED": values.listed,
            "SUMMED": values.summed,
            "JOINED": values.joined,
            "SCALED": values.scaled,
            "PICKED": values.picked,
            "RUN": run_patterns,
            "PAIRS": pairs_of,
            "SKIP": skip,
            **{f"C_{kind}": convert for kind, convert in values.CONVERT.items()},
        }

    def constant(self, value: object) -> str:
        name = f"K{len(self.constants)}"
        self.constants[name] = value
        return name

    def put(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    # ------------------------------------------------------------ names and presence
    def read(self, name: str) -> str:
        if name.startswith("_"):
            return f"t.get({name!r})"
        if name.startswith("."):
            return f"{self.decoded}.get({self.prefix + name[1:]!r})"
        if name == "@timestamp":
            return f"{self.decoded}.get({self.prefix + name!r})"
        if name.startswith("@"):
            return f"e.get({name[1:]!r})"
        if name.startswith("syslog.") and self.enveloped:
            return f"t.get({name[7:]!r})"
        return f"{self.decoded}.get({self.prefix + name!r})"

    def present(self, texts: bool = False) -> str:
        """Test that `v` is there. `texts`: it is a text, a list or None for sure."""
        if not self.skip:
            return "v is not None"
        if texts and "" in self.skip:
            rest = tuple(s for s in self.skip if s)
            return "v" + (f" and v != {rest[0]!r}" if len(rest) == 1 else f" and v not in {rest!r}" if rest else "")
        if len(self.skip) == 1:
            return f"v is not None and v != {self.skip[0]!r}"
        return "v is not None and v not in SKIP"

    def absent(self) -> str:
        if not self.skip:
            return "v is None"
        return f"v is None or v == {self.skip[0]!r}" if len(self.skip) == 1 else "v is None or v in SKIP"

    def is_text(self, name: str) -> bool:
        """Whether the value of a name is a text (or a list) or None for sure."""
        return self.texts and not name.startswith(("@", "_")) and not (name.startswith("syslog.") and self.enveloped)

    # ------------------------------------------------------------ values
    def value(self, depth: int, value: Value) -> None:
        """Emit lines that leave the value, or None, in `v`."""
        names = [self._part(p) for p in value.parts]
        if value.op == "first":
            self.put(depth, f"v = {names[0] if names else None}")
            for name in names[1:]:
                self.put(depth, f"if {self.absent()}:")
                depth += 1
                self.put(depth, f"v = {name}")
            depth -= max(len(names) - 1, 0)
            self.put(depth, f"if {self.absent()}:")
            self.put(depth + 1, "v = None")
        elif value.op == "sum" and len(names) == 2 and all(self._whole(p) for p in value.parts):
            self.put(depth, f"v, w = {names[0]}, {names[1]}")
            self.put(depth, "v = w if v is None else v if w is None else v + w")
        elif value.op == "sum":
            self.put(depth, f"v = SUMMED(({', '.join(names)},))")
        elif value.op == "join":
            self.put(depth, f"v = JOINED(({', '.join(names)},), SKIP)")
        else:
            self.put(depth, f"v = [x for x in ({', '.join(names)},) if x is not None and x not in SKIP] or None")
        self._changes(depth, value)

    @staticmethod
    def _whole(part: Part) -> bool:
        """Whether it is a field that was set before as a whole number."""
        kind = ecs().fields.get(part.name[1:]) if part.name.startswith("@") else None
        return kind is not None and kind.kind == "long"

    def _part(self, part: Part) -> str:
        return self.read(part.name) if part.name else repr(part.literal)

    def _changes(self, depth: int, value: Value) -> None:
        text = _TEXT
        if value.pick:
            self.put(depth, f"v = PICKED(v, {value.pick!r})")
        for old, new in value.replace:
            self.put(depth, "if v.__class__ is str:")
            self.put(depth + 1, f"v = v.replace({old!r}, {new!r})")
        if value.before:
            self.put(depth, f"v = v.partition({value.before!r}) if v.__class__ is str else None")
            self.put(depth, "v = (v[0] or None) if v and v[1] else None")
        if value.after:
            self.put(depth, "if v is not None:")
            self.put(depth + 1, f"v = ({text}).rpartition({value.after!r})[2] or None")
        if value.lower:
            self.put(depth, "if v.__class__ is str:")
            self.put(depth + 1, "v = v.lower()")
        if value.split:
            self.put(depth, "if v.__class__ is str:")
            self.put(depth + 1, f"v = [x for x in map(str.strip, v.split({value.split!r})) if x not in SKIP] or None")
        if value.map is not None:
            self.put(depth, "if v is not None:")
            self.put(depth + 1, f"v = {self.constant(dict(value.map))}.get({text})")
        if value.default is not None:
            self.put(depth, "if v is None:")
            self.put(depth + 1, f"v = {self._fresh(value.default)}")
        if value.scale is not None:
            self.put(depth, f"v = SCALED(v, {value.scale!r})")

    @staticmethod
    def _fresh(value: object) -> str:
        """Expression for a literal; lists are made anew for each event."""
        return repr(list(value)) if isinstance(value, (list, tuple)) else repr(value)

    def store(self, depth: int, target: str, kind: str, many: bool) -> None:
        """Emit lines that convert `v` (not None) and set the target."""
        if target.startswith("_"):
            self.put(depth, f"t[{target!r}] = v")
            return
        self.targets.add(target)
        if not kind:
            self.put(depth, f"e[{target!r}] = v")
            return
        if many:
            self.put(depth, f"v = LISTED(v, C_{kind})")
        elif kind in ("keyword", "text"):
            self.put(depth, "if v.__class__ is not str:")
            self.put(depth + 1, "v = C_keyword(v)")
        elif kind == "ip":
            self.put(depth, "v = ADDRESSES[v] if v.__class__ is str else None")
        elif kind == "long":
            self.put(depth, "if v.__class__ is str:")
            self.put(depth + 1, "v = LONGS[v]")
            self.put(depth, f"elif v.__class__ is not int or not {-(2**63)} <= v < {2**63}:")
            self.put(depth + 1, "v = C_long(v)")
        else:
            self.put(depth, f"v = C_{kind}(v)")
        self.put(depth, "if v is not None:")
        self.put(depth + 1, f"e[{target!r}] = v")

    def assign(self, depth: int, assign: Assign) -> None:
        value = assign.value
        simple = value.op == "first" and len(value.parts) == 1 and value.parts[0].name
        if simple and value == Value("first", value.parts):
            self.put(depth, f"v = {self.read(value.parts[0].name)}")
            self.put(depth, f"if {self.present(self.is_text(value.parts[0].name))}:")
        else:
            self.value(depth, value)
            self.put(depth, "if v is not None:")
        outcomes = [*value.map.values(), value.default] if value.map is not None and value.scale is None else [None]
        if assign.kind == "keyword" and all(_fits(o, assign.many) for o in outcomes if o is not None) and any(outcomes):
            # a table's own words are of the type already; a list must not be shared by two events
            self.targets.add(assign.target)
            self.put(depth + 1, f"e[{assign.target!r}] = {'[*v]' if assign.many else 'v'}")
        else:
            self.store(depth + 1, assign.target, assign.kind, assign.many)

    # ------------------------------------------------------------ conditions
    def test(self, test: Test) -> str:
        read = self.read(test.name)
        text = f"({_TEXT})"
        if test.exists is not None:
            # `exists` looks at presence as everywhere here: a skipped text counts as absent
            made = f"((v := {read}) is not None and v not in SKIP)"
            return made if test.exists != test.negated else f"not {made}"
        if test.regex is not None:
            made = f"((v := {read}) is not None and {self.constant(Regex(test.regex))}.found{text})"
        else:
            assert test.values is not None
            if len(test.values) == 1:
                made = f"((v := {read}) is not None and {text} == {next(iter(test.values))!r})"
            else:
                made = f"((v := {read}) is not None and {text} in {self.constant(test.values)})"
        return f"not {made}" if test.negated else made

    def condition(self, condition: Condition) -> str:
        groups = [" and ".join(self.test(t) for t in group) or "True" for group in condition]
        return " or ".join(f"({g})" for g in groups) or "True"

    # ------------------------------------------------------------ blocks
    def block(self, depth: int, block: Block) -> None:
        for name, value in block.constants.items():
            self.targets.add(name)
            self.put(depth, f"e[{name!r}] = {self._fresh(value)}")
        for patterns in block.patterns:
            self._patterns(depth, patterns)
        for pairs in block.pairs:
            self._pairs(depth, pairs)
        for assign in block.fields:
            self.assign(depth, assign)
        self._logsources(depth, block.logsources)
        self._when(depth, block.when)
        for switch in block.switches:
            self._switch(depth, switch)

    def _logsources(self, depth: int, logsources: tuple[LogSource, ...]) -> None:
        if logsources:
            self.put(depth, f"ls = ls + {self.constant(logsources)}")

    def _when(self, depth: int, blocks: tuple[When, ...]) -> None:
        flag = ""
        if blocks and blocks[-1].condition is None:
            flag = f"done{len(self.constants)}_{len(self.lines)}"
            self.put(depth, f"{flag} = False")
        for when in blocks:
            condition = f"not {flag}" if when.condition is None else self.condition(when.condition)
            self.put(depth, f"if {condition}:")
            if flag:
                self.put(depth + 1, f"{flag} = True")
            self.put(depth + 1, "pass")
            self.block(depth + 1, when.body)

    def function(self, parameters: str, body: Callable[[], None]) -> str:
        """Emit a function of its own; its name."""
        name = f"f{len(self.functions)}"
        self.functions.append("")
        at = len(self.functions) - 1
        outer, self.lines, self.inner = self.lines, [], self.inner + 1
        self.put(0, f"def {name}({parameters}):")
        body()
        self.put(1, "return ls")
        self.functions[at] = "\n".join(self.lines)
        self.lines, self.inner = outer, self.inner - 1
        return name

    def _switch(self, depth: int, switch: Switch) -> None:
        names = [self.function("e, d, t, ls", lambda b=block: self.block(1, b)) for block in switch.blocks]  # type: ignore[misc]
        table = self.constant({text: names[at] for text, at in switch.cases.items()})
        self.late_tables.append(table)
        default = names[switch.default] if switch.default is not None else "None"
        key = self._switch_key(depth, switch)
        self.put(depth, f"f = {table}.get({key}, {default})")
        self.put(depth, "if f is not None:")
        self.put(depth + 1, "ls = f(e, d, t, ls)")

    def _switch_key(self, depth: int, switch: Switch) -> str:
        """Emit lines for the text that a switch looks up; the variable that holds it.

        Switches of the body itself on one name share its text, as long as nothing between them can set that name.
        """
        text = _TEXT
        made = f"({text}).lower()" if switch.fold else text
        places = {switch.by, switch.by[1:], self.prefix + switch.by.removeprefix(".")}
        shared = depth == 1 and not self.inner and not switch.by.startswith("_")
        if shared and self.switched == (switch.by, switch.fold) and places.isdisjoint(self.targets):
            return "key"
        self.switched = (switch.by, switch.fold) if shared else self.switched
        self.put(depth, f"v = {self.read(switch.by)}")
        self.put(depth, f"{'key' if shared else 'k'} = {made}")
        return "key" if shared else "k"

    def _pairs(self, depth: int, pairs: Pairs) -> None:
        table = self.constant({key: at for at, key in enumerate(pairs.targets)})
        self.put(depth, f"for k, v in PAIRS({self.read(pairs.of)}, {pairs.pair!r}, {pairs.assign!r}):")
        self.put(depth + 1, f"k = {table}.get(k)")
        for at, (target, kind, many) in enumerate(pairs.targets.values()):
            self.put(depth + 1, f"{'if' if at == 0 else 'elif'} k == {at} and {self.present()}:")
            self.store(depth + 2, target, kind, many)

    # ------------------------------------------------------------ patterns
    def _patterns(self, depth: int, patterns: Patterns) -> None:
        self.put(depth, f"v = {self.read(patterns.of)}")
        self.put(depth, "if v.__class__ is str:")
        inner = depth + 1
        self.put(inner, "s = v")
        self.put(inner, "r = None")
        if patterns.by:
            cases = {case: self._table(listed) for case, listed in patterns.cases.items()}
            name = self.constant(cases)
            self.late_tables.append(name)
            self.put(inner, f"v = {self.read(patterns.by)}")
            self.put(inner, f"v = {name}.get(v)")
            self.put(inner, "if v is not None:")
            self.put(inner + 1, "r = RUN(s, v, e, d, t, ls)")
        if patterns.default:
            name = self.constant({"": self._table(patterns.default)})
            self.late_tables.append(name)
            self.put(inner, "if r is None:")
            self.put(inner + 1, f"r = RUN(s, {name}[''], e, d, t, ls)")
        self.put(inner, "if r is not None:")
        self.put(inner + 1, "ls = r")
        if patterns.required:
            self.put(inner, "else:")
            self.put(inner + 1, "raise RecordError('bad_format', 'no pattern of this source: ' + s[:120])")
            self.put(depth, "else:")
            self.put(depth + 1, f"raise RecordError('bad_format', 'no text in ' + {patterns.of!r})")

    def _table(self, listed: tuple[Pattern, ...]) -> dict[str, list[tuple[Regex, str]]]:
        """First word → patterns that a text beginning with it can match, in order."""
        made = [
            (p.word, Regex(p.regex), self.function("g, e, d, t, ls", lambda p=p: self._apply(p)))  # type: ignore[misc]
            for p in listed
        ]
        words = {"", *(word for word, _, _ in made)}
        return {w: [(regex, name) for word, regex, name in made if word in ("", w)] for w in words}

    def _apply(self, pattern: Pattern) -> None:
        for at, (target, kind, many) in enumerate(pattern.captures):
            self.put(1, f"v = g[{at}]")
            self.put(1, f"if {self.present(texts=True)}:")
            self.store(2, target, kind, many)
        self.block(1, pattern.body)
