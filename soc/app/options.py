"""Options that many commands share, each written once."""

from __future__ import annotations

import getpass
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from soc.app.config import Config, load_config


class Lang(StrEnum):
    vi = "vi"
    en = "en"


def default_config() -> Path | None:
    """SOC_CONFIG, else soc.yaml or deploy/embedded.yaml of the working directory, else none (the defaults)."""
    if named := os.environ.get("SOC_CONFIG"):
        return Path(named)
    return next((p for p in (Path("soc.yaml"), Path("deploy/embedded.yaml")) if p.is_file()), None)


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file. [default: $SOC_CONFIG, soc.yaml, deploy/embedded.yaml]"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document (or NDJSON) on stdout.")]
LangOption = Annotated[Lang | None, typer.Option("--lang", help="Language of texts for people. [default: vi]")]
UserOption = Annotated[
    str, typer.Option("--user", help="Who acts; stands in the history.", default_factory=getpass.getuser)
]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="From this time on: RFC 3339, a date, or an age such as 8h, 7d.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Before this time; written as --since.")]

#: Sections that a command may be listed under in --help.
TRIAGE: Final = "Triage"
CONTENT: Final = "Rules and sources"
RUNNING: Final = "Running"


def settings(path: Path | None) -> Config:
    """The configuration that a command works with. Raises ContentErrors."""
    return load_config(path or default_config())


def language(lang: Lang | None, config: Config | None = None) -> str:
    """--lang, else the configuration's, else Vietnamese."""
    return lang.value if lang else (config.lang if config else "vi")
