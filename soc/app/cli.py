"""The command `soc`: arguments in, the exit code of docs/operators.md out."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Final

import typer

from soc.app.commands import (
    alerts,
    check,
    demo,
    doctor,
    events,
    hunt,
    kibana,
    parse,
    rules,
    run,
    sources,
    store,
    store_keys,
    topics,
    topics_acls,
)
from soc.app.commands.options import choose, hoisted
from soc.app.commands.output import say
from soc.app.runner import Stopped
from soc.event import ContentError, ContentErrors, SocError, TransportError

OK: Final = 0
FINDINGS: Final = 1
USAGE: Final = 2
CONTENT: Final = 3
UNREACHABLE: Final = 4
BUG: Final = 70  # sysexits.h, EX_SOFTWARE
INTERRUPTED: Final = 130

app = typer.Typer(
    name="soc",
    help="Giám sát an ninh mạng của tỉnh: nhật ký vào, cảnh báo có giải thích ra. · Logs in, explained alerts out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(choose)
for module in (
    demo,
    hunt,
    run,
    alerts,
    events,
    sources,
    parse,
    rules,
    check,
    doctor,
    topics,
    topics_acls,
    store,
    store_keys,
    kibana,
):
    module.register(app)


def main() -> None:
    """Entry point: runs the command and turns our failures into a sentence and an exit code."""
    try:
        result = app(hoisted(sys.argv[1:]), prog_name="soc", standalone_mode=False)
        code = result if isinstance(result, int) else OK  # typer hands back the code of typer.Exit
    except (typer.Abort, KeyboardInterrupt, Stopped):
        say("ngắt · interrupted")
        code = INTERRUPTED
    except typer.BadParameter as wrong:
        wrong.show()
        code = USAGE
    except typer.TyperException as wrong:
        say(str(wrong))
        code = USAGE
    except BrokenPipeError:  # `soc … | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = OK
    except (ContentError, ContentErrors) as wrong:
        say(str(wrong))
        code = CONTENT
    except TransportError as wrong:
        say(str(wrong))
        code = UNREACHABLE
    except SocError as wrong:
        say(str(wrong))
        code = USAGE
    except Exception:
        say(traceback.format_exc())
        say("lỗi của chương trình, không phải của bạn · a bug of ours; please report the lines above")
        code = BUG
    sys.exit(code)
