"""The mapping part of a definition (constants, fields, when, switch, patterns, pairs) → checked `Block`s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from soc.content import Mapped, unknown
from soc.event import ContentError, LogSource, text_of
from soc.normalize.ecs import ecs
from soc.normalize.model import Assign, Block, Condition, Pairs, Part, Pattern, Patterns, Switch, Test, Value, When
from soc.normalize.patterns import PatternError, expand, first_word

_VALUE_KEYS: Final = (
    "from",
    "value",
    "sum",
    "join",
    "list",
    "map",
    "default",
    "pick",
    "replace",
    "before",
    "after",
    "lower",
    "split",
    "scale",
)
_OPS: Final = ("from", "value", "sum", "join", "list")
_TEST_KEYS: Final = ("matches", "exists", "not")
#: What the runtime writes itself.
_OURS: Final = frozenset(
    {"@timestamp", "event.original", "event.dataset", "related.ip", "related.user", "related.hash", "related.hosts"}
)

#: Facts that hold within a block: name → the texts it can have there.
Known = Mapping[str, frozenset[str]]


class BlockReader:
    """Reads blocks of one file; appends what is wrong to `errors`."""

    BLOCK_KEYS: Final = frozenset({"constants", "fields", "when", "switch", "patterns", "pairs", "logsources"})

    def __init__(self, path: Path, errors: list[ContentError]) -> None:
        self.path = path
        self.errors = errors
        self.roots: tuple[str, ...] = ()
        self.anything = False
        self.envelope = False

    # ------------------------------------------------------------ small checks
    def wrong(self, line: int, why: str) -> None:
        self.errors.append(ContentError(self.path, line, why))

    def known(self, item: Mapped, words: Iterable[str]) -> None:
        words = tuple(words)
        for key in item:
            if key not in words:
                self.wrong(item.at(key), unknown(key, words))

    def texts(self, item: Mapped, key: str) -> list[str]:
        given = item.get(key)
        if given is None:
            return []
        listed = given if isinstance(given, list) else [given]
        if not all(isinstance(v, str) for v in listed):
            self.wrong(item.at(key), f"`{key}` is a text or a list of texts (quote yes, no, on, off and numbers)")
            return []
        return listed

    def items(self, item: Mapped, key: str) -> list[Mapped]:
        given = item.get(key)
        if given is None:
            return []
        listed = given if isinstance(given, list) else [given]
        if not all(isinstance(v, Mapped) for v in listed):
            self.wrong(item.at(key), f"`{key}` is a list of mappings")
            return []
        return listed

    def mapping(self, item: Mapped, key: str) -> Mapped:
        given = item.get(key)
        if given is None or isinstance(given, Mapped):
            return given if given is not None else _empty(item.at(key))
        self.wrong(item.at(key), f"`{key}` is a mapping")
        return _empty(item.at(key))

    def logsources(self, item: Mapped) -> tuple[LogSource, ...]:
        found = []
        for entry in self.items(item, "logsources"):
            self.known(entry, LogSource._fields)
            found.append(LogSource(*(entry.get(word) for word in LogSource._fields)))
        return tuple(found)

    def target(self, name: str, line: int) -> tuple[str, bool]:
        """(kind, many) of a field that may be written; ("", False) for the vendor's own."""
        kind = ecs().fields.get(name)
        if name in _OURS:
            self.wrong(line, f"{name} is written by the program itself")
        elif kind is not None:
            return kind.kind, kind.many
        elif not (self.anything or any(name.startswith(f"{root}.") for root in self.roots)):
            roots = f" (own fields stand under {', '.join(self.roots)})" if self.roots else ""
            self.wrong(line, unknown(name, ecs().fields, "ECS field").split("; known:")[0] + roots)
        return "", False

    def name(self, given: object, line: int) -> str:
        if not isinstance(given, str) or not given:
            self.wrong(line, f"a field's name is a text, not {given!r}")
            return ""
        if given.startswith("syslog.") and not self.envelope and not self.anything:
            self.wrong(line, f"{given}: `decode` has no envelope whose header could be read")
        return given

    # ------------------------------------------------------------ blocks
    def block(self, tree: Mapped, besides: frozenset[str], facts: Known) -> Block:
        """The block in `tree`, whose other keys are `besides`."""
        for key in tree:
            if key not in self.BLOCK_KEYS and key not in besides:
                self.wrong(tree.at(key), unknown(key, self.BLOCK_KEYS | besides))
        patterns = tuple(self._patterns(p, facts) for p in self.items(tree, "patterns"))
        return Block(
            constants=self._constants(tree),
            fields=self._fields(tree),
            logsources=() if "title" in tree else self.logsources(tree),
            patterns=patterns,
            pairs=tuple(self._pairs(p) for p in self.items(tree, "pairs")),
            when=self._when(tree, facts),
            switches=tuple(self._switch(s, facts) for s in self.items(tree, "switch")),
        )

    def _constants(self, tree: Mapped) -> dict[str, Any]:
        given = self.mapping(tree, "constants")
        for name, value in given.items():
            line = given.at(name)
            kind, many = self.target(name, line)
            values = value if isinstance(value, list) else [value]
            if kind and many != isinstance(value, list):
                self.wrong(line, f"{name} is {'a list' if many else 'one value, no list'} in ECS")
            if kind in ("keyword", "text", "ip") and not all(isinstance(v, str) for v in values):
                self.wrong(line, f"{name} is a {kind}: quote the value")
            if kind == "long" and not all(isinstance(v, int) for v in values):
                self.wrong(line, f"{name} is a whole number in ECS")
            closed = ecs().allowed.get(name, frozenset())
            for strange in [v for v in values if closed and v not in closed]:
                self.wrong(line, unknown(str(strange), closed, f"value of {name}"))
        return dict(given)

    def _fields(self, tree: Mapped) -> tuple[Assign, ...]:
        given = self.mapping(tree, "fields")
        made = []
        for target, source in given.items():
            line = given.at(target)
            kind, many = ("", False) if target.startswith("_") else self.target(target, line)
            value = self.value(source, line)
            closed = ecs().allowed.get(target)
            for outcome in [*(value.map or {}).values(), value.default]:
                outcomes = outcome if isinstance(outcome, list) else [outcome]
                for strange in [o for o in outcomes if closed and o is not None and o not in closed]:
                    self.wrong(line, unknown(str(strange), closed or (), f"value of {target}"))
            made.append(Assign(target, value, kind, many))
        return tuple(made)

    def value(self, given: object, line: int) -> Value:
        """One right-hand side: a name, a list of names, or a mapping with one of from/value/sum/join/list."""
        if isinstance(given, (str, list)):
            given = Mapped({"from": given})
            given.line, given.lines = line, {}
        if not isinstance(given, Mapped):
            self.wrong(line, f"{given!r}: a value is a field's name, a list of them, or a mapping such as {{from: …}}")
            return Value("first", ())
        line = given.line or line
        self.known(given, _VALUE_KEYS)
        ops = [op for op in _OPS if op in given]
        if len(ops) != 1:
            self.wrong(line, f"exactly one of {', '.join(_OPS)} is needed")
            return Value("first", ())
        op = ops[0]
        if op == "value":
            return Value("first", (Part(literal=given["value"]),))
        listed = given[op] if isinstance(given[op], list) else [given[op]]
        parts = tuple(self._part(p, op, line) for p in listed)
        table = given.get("map")
        if table is not None and not isinstance(table, Mapped):
            self.wrong(given.at("map"), "`map` is a mapping from the sender's value to ours")
            table = None
        for word in table or ():
            if word in ("True", "False", "None"):
                self.wrong(given.at("map"), f"YAML reads a bare yes/no/on/off/true/null as {word}: quote the key")
        scale = given.get("scale")
        if scale is not None and (isinstance(scale, bool) or not isinstance(scale, (int, float))):
            self.wrong(given.at("scale"), "`scale` is a number")
        return Value(
            op={"from": "first"}.get(op, op),
            parts=parts,
            pick=str(given.get("pick", "")),
            replace=tuple((str(k), str(v)) for k, v in self.mapping(given, "replace").items()),
            before=str(given.get("before", "")),
            after=str(given.get("after", "")),
            lower=bool(given.get("lower", False)),
            split=str(given.get("split", "")),
            map=dict(table) if table is not None else None,
            default=given.get("default"),
            scale=scale,
        )

    def _part(self, given: object, op: str, line: int) -> Part:
        if isinstance(given, Mapped):
            self.known(given, ("from",))
            return Part(name=self.name(given.get("from"), line))
        if op == "join":
            return Part(literal=str(given))
        return Part(name=self.name(given, line))

    # ------------------------------------------------------------ conditions
    def condition(self, given: object, line: int) -> Condition:
        """`if`: a mapping (all must hold) or a list of them (any)."""
        groups = given if isinstance(given, list) else [given]
        made = []
        for group in groups:
            if not isinstance(group, Mapped) or not group:
                self.wrong(line, "`if` is a mapping of field: value, or a list of such mappings")
                continue
            made.append(
                tuple(self._test(self.name(name, group.at(name)), what, group.at(name)) for name, what in group.items())
            )
        return tuple(made)

    def _test(self, name: str, what: object, line: int, negated: bool = False) -> Test:
        if not isinstance(what, Mapped):
            listed = what if isinstance(what, list) else [what]
            return Test(name, values=frozenset(text_of(v) for v in listed), negated=negated)
        if len(what) != 1 or next(iter(what)) not in _TEST_KEYS:
            self.wrong(line, f"a test is a value, a list of values, or one of {', '.join(_TEST_KEYS)}")
            return Test(name, exists=True)
        ((word, argument),) = what.items()
        if word == "not":
            return self._test(name, argument, line, negated=not negated)
        if word == "exists":
            if not isinstance(argument, bool):
                self.wrong(line, "`exists` is true or false")
            return Test(name, exists=bool(argument), negated=negated)
        try:
            expression, captures = expand(str(argument))
        except PatternError as error:
            self.wrong(line, str(error))
            return Test(name, exists=True)
        if captures:
            self.wrong(line, "`matches` captures nothing: use `patterns`")
        return Test(name, regex=expression, negated=negated)

    def _when(self, tree: Mapped, facts: Known) -> tuple[When, ...]:
        made: list[When] = []
        for item in self.items(tree, "when"):
            if made and made[-1].condition is None:
                self.wrong(item.line, "never reached: it stands after `else`")
            if "else" in item:
                self.known(item, ("else",))
                if not made:
                    self.wrong(item.line, "`else` needs an `if` before it")
                made.append(When(None, self.block(self.mapping(item, "else"), frozenset(), facts)))
                continue
            if "if" not in item:
                self.wrong(item.line, "a block of `when` begins with `if` or `else`")
                continue
            condition = self.condition(item["if"], item.at("if"))
            self._reachable(condition, facts, item.at("if"))
            for before in made:
                if before.condition == condition:
                    self.wrong(item.at("if"), "the same `if` stands before: put both blocks into one")
            made.append(When(condition, self.block(item, frozenset({"if"}), _narrowed(facts, condition))))
        return tuple(made)

    def _reachable(self, condition: Condition, facts: Known, line: int) -> None:
        for group in condition:
            for test in group:
                can = facts.get(test.name)
                if can is not None and test.values is not None and not test.negated and not (test.values & can):
                    self.wrong(line, f"never holds: here {test.name} is {' or '.join(sorted(can))}")

    def _switch(self, given: Mapped, facts: Known) -> Switch:
        self.known(given, ("by", "fold", "cases"))
        by = self.name(given.get("by"), given.at("by"))
        fold = bool(given.get("fold", False))
        cases: dict[str, int] = {}
        blocks: list[Block] = []
        default = None
        listed = self.mapping(given, "cases")
        for key, tree in listed.items():
            line = listed.at(key)
            words = [w.strip() for w in key.split(",")]
            if not isinstance(tree, Mapped):
                self.wrong(line, "a case is a mapping: constants, fields, …")
                continue
            if key == "default":
                default = len(blocks)
                blocks.append(self.block(tree, frozenset(), facts))
                continue
            texts = frozenset(w.lower() if fold else w for w in words)
            for word in texts:
                if word in cases:
                    self.wrong(line, f"never reached: the case {word!r} stands before")
                if word in ("True", "False"):
                    self.wrong(line, "YAML reads a bare yes/no/on/off as true or false: quote the case")
                if (can := facts.get(by)) is not None and word not in can:
                    self.wrong(line, f"never reached: here {by} is {' or '.join(sorted(can))}")
                cases[word] = len(blocks)
            blocks.append(self.block(tree, frozenset(), {**facts, by: texts} if not fold else facts))
        if not blocks:
            self.wrong(given.line, "a switch needs `cases`")
        return Switch(by, fold, cases, default, tuple(blocks))

    # ------------------------------------------------------------ texts within fields
    def _patterns(self, given: Mapped, facts: Known) -> Patterns:
        self.known(given, ("of", "by", "words", "list", "cases", "default", "required"))
        words = {name: str(meaning) for name, meaning in self.mapping(given, "words").items()}
        of = self.name(given.get("of"), given.at("of"))
        by = self.name(given["by"], given.at("by")) if "by" in given else ""
        if ("cases" in given) != bool(by):
            self.wrong(given.line, "`by` and `cases` belong together")
        if "list" in given and "default" in given:
            self.wrong(given.line, "`list` and `default` are the same thing: write one")
        cases: dict[str, tuple[Pattern, ...]] = {}
        listed = self.mapping(given, "cases")
        for key in listed:
            line = listed.at(key)
            made = self._pattern_list(listed, key, facts, words)
            for word in (w.strip() for w in key.split(",")):
                if word in cases:
                    self.wrong(line, f"never reached: the case {word!r} stands before")
                cases[word] = made
        default = self._pattern_list(given, "list" if "list" in given else "default", facts, words)
        return Patterns(of, by, cases, default, bool(given.get("required", False)))

    def _pattern_list(self, tree: Mapped, key: str, facts: Known, words: Mapping[str, str]) -> tuple[Pattern, ...]:
        made: list[Pattern] = []
        for item in self.items(tree, key):
            line = item.at("match")
            text = item.get("match")
            if not isinstance(text, str):
                self.wrong(item.line, "a pattern has `match`")
                continue
            try:
                expression, names = expand(text, words)
            except PatternError as error:
                self.wrong(line, str(error))
                continue
            if any(p.regex == expression for p in made):
                self.wrong(line, "never reached: the same pattern stands before")
            if made and made[-1].regex in (".*", "(.*)"):
                self.wrong(line, "never reached: the pattern before it matches everything")
            captures = tuple((n, *(("", False) if n.startswith("_") else self.target(n, line))) for n in names)
            body = self.block(item, frozenset({"match"}), facts)
            made.append(Pattern(text, expression, first_word(expression), captures, body))
        return tuple(made)

    def _pairs(self, given: Mapped) -> Pairs:
        self.known(given, ("of", "pair", "assign", "fields"))
        targets: dict[str, tuple[str, str, bool]] = {}
        listed = self.mapping(given, "fields")
        for target, key in listed.items():
            if str(key) in targets:
                self.wrong(listed.at(target), f"{key} goes to {targets[str(key)][0]} already")
            targets[str(key)] = (target, *self.target(target, listed.at(target)))
        return Pairs(
            self.name(given.get("of"), given.at("of")),
            str(given.get("pair", ",")),
            str(given.get("assign", "=")),
            targets,
        )


def _empty(line: int) -> Mapped:
    made = Mapped()
    made.line, made.lines = line, {}
    return made


def _narrowed(facts: Known, condition: Condition) -> Known:
    """Facts inside a block whose condition is one group of tests."""
    if len(condition) != 1:
        return facts
    sure = {t.name: t.values for t in condition[0] if t.values is not None and not t.negated}
    return {**facts, **sure}
