"""Options that many commands share, each written once."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from soc.app.config import Config, load_config
from soc.app.credentials import Role, as_role


class Lang(StrEnum):
    vi = "vi"
    en = "en"


def default_config(reading: bool = False) -> Path | None:
    """SOC_CONFIG, else soc.yaml or deploy/embedded.yaml of the working directory, else none (the defaults).

    `reading`: where only the demo has run, it is the demo's, so that `soc alerts list` shows what was just seen.
    """
    if named := os.environ.get("SOC_CONFIG"):
        return Path(named)
    own = Path("soc.yaml").is_file() or Path("var/store").exists() or os.environ.get("SOC_DATA_DIR")
    demo = Path("var/demo/soc.yaml")
    if reading and not own and demo.is_file():
        typer.echo(f"(demo: {demo})", err=True)
        return demo
    return next((p for p in (Path("soc.yaml"), Path("deploy/embedded.yaml")) if p.is_file()), None)


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file (default: $SOC_CONFIG, soc.yaml, deploy/embedded.yaml)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document (or NDJSON) on stdout.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="From this time on: RFC 3339, a date, or an age such as 8h, 7d.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Before this time; written as --since.")]


def settings(path: Path | None, reading: bool = False, role: Role | None = None) -> Config:
    """The configuration that a command works with, with the secrets of a role ("reader" for `reading` ones).

    Reading commands look at the demo, too. Raises ContentErrors.
    """
    config = load_config(path or default_config(reading))
    asking = role or ("reader" if reading else None)
    return as_role(config, asking) if asking else config


#: Options of every command, wherever they stand on the line, and how many words each takes.
EVERYWHERE: Final = ("--lang", "--user")


@dataclass(slots=True)
class Chosen:
    """What the person at the terminal chose for this run."""

    lang: Lang | None = None
    user: str = ""


_chosen = Chosen()


def choose(
    lang: Annotated[Lang | None, typer.Option("--lang", help="Language of texts for people. (default: vi)")] = None,
    user: Annotated[str, typer.Option("--user", help="Who acts; stands in the history. (default: the OS user)")] = "",
) -> None:
    """Callback of the program: options that every command takes."""
    _chosen.lang, _chosen.user = lang, user


def hoisted(arguments: Sequence[str]) -> list[str]:
    """The arguments with those of EVERYWHERE first, so that they may stand behind the command, too."""
    front, rest = [], []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in EVERYWHERE:
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        elif word.startswith(tuple(f"{name}=" for name in EVERYWHERE)):
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def language(config: Config | None = None) -> str:
    """--lang, else the configuration's, else Vietnamese."""
    return _chosen.lang.value if _chosen.lang else (config.lang if config else "vi")


def acting_user() -> str:
    """--user, else the OS user."""
    return _chosen.user or getpass.getuser()
