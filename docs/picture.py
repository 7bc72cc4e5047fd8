"""`soc demo` run in a terminal of fixed size in, docs/demo.svg out: `.venv/bin/python docs/picture.py`.

The picture is what the program really printed, colours included; fonts are the reader's own, nothing is fetched.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

PICTURE: Final = Path(__file__).with_name("demo.svg")
COLUMNS: Final = 156
#: rich's template names fonts of a content network; these are on the machines that read the picture.
_FONT_FACE: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_FONTS: Final = "'Liberation Mono', 'Noto Sans Mono', Menlo, Consolas, monospace"


def printed(folder: Path) -> str:
    """What `soc demo` writes to a terminal of COLUMNS columns, escape sequences included; progress is left out."""
    environment = os.environ | {"COLUMNS": str(COLUMNS), "LINES": "100", "TERM": "xterm-256color", "SOC_QUIET": "1"}
    environment.pop("SOC_DATA_DIR", None)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "soc.app", "demo", "--folder", str(folder)]
    process = subprocess.Popen(command, env=environment, stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    chunks = []
    try:
        while chunk := os.read(ours, 65_536):
            chunks.append(chunk)
    except OSError:  # Linux says EIO when the last writer has closed the terminal
        pass
    finally:
        os.close(ours)
    if process.wait():
        raise SystemExit(f"soc demo ended with {process.returncode}")
    return b"".join(chunks).decode().replace("\r\n", "\n")


def drawn(text: str) -> str:
    """The terminal text as SVG."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text("$ soc demo", style="bold"))
    console.print(Text.from_ansi(text))
    svg = console.export_svg(title="soc demo", theme=SVG_EXPORT_THEME, unique_id="demo")
    return _FONT_FACE.sub("", svg).replace("Fira Code, monospace", _FONTS).replace("Fira Code", _FONTS)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        PICTURE.write_text(drawn(printed(Path(folder) / "demo")), "utf-8")
    print(f"{PICTURE}: {PICTURE.stat().st_size >> 10} kB")


if __name__ == "__main__":
    main()
