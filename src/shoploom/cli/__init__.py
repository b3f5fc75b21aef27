"""The command line: one short file per command, and what they share.

Exit codes: 0 done; 1 a mistake of ours; 2 wrong usage or settings; 3 unusable data;
4 something asked before it was trained; 130 interrupted.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from importlib import import_module

from shoploom.core.errors import ConfigError, NotFitted, ShoploomError

OK, USAGE, DATA, NOT_READY, INTERRUPTED = 0, 2, 3, 4, 130

_STOPPED = "interrupted; the same command goes on where it stopped."

COMMANDS = (
    "demo",
    "run",
    "prepare",
    "encode",
    "read",
    "train",
    "evaluate",
    "report",
    "tune",
    "knockout",
    "controls",
    "predict",
    "recommend",
    "represent",
    "export",
    "segments",
    "audience",
    "lookalike",
    "price",
    "reply",
    "slates",
    "serve",
    "keys",
    "retrain",
    "import_",
    "simulate",
    "sentiment",
    "tag",
)

_HELP = """Turn what a shop knows about its customers into honest answers.

Start with `shoploom demo`, or write a shop.yaml and call `shoploom run shop.yaml`.
"""
_EPILOGUE = """Examples:

    shoploom demo
    shoploom import retailrocket downloads/ my-shop/
    shoploom simulate toy-shop/ --users 500 --items 200
    shoploom run my-shop/shop.yaml
    shoploom predict churn --run my-shop/runs/latest --out churn.parquet
    shoploom recommend --user 42 --k 10 --explain

Exit codes: 0 done; 2 wrong usage or settings; 3 unusable data;
4 not trained yet; 130 interrupted (the same command goes on where it
stopped); 1 a mistake of ours.
"""


def main(tokens: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:] if tokens is None else tokens))


def run(tokens: Sequence[str]) -> int:
    """Run one command; its exit code."""
    from cyclopts import App, CycloptsError

    from shoploom import __version__

    app = App(
        name="shoploom",
        help=_HELP,
        help_epilogue=_EPILOGUE,
        help_format="plaintext",
        version=__version__,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for module in COMMANDS:
        import_module(f"shoploom.cli.{module}").add_to(app)
    try:
        app(tokens, exit_on_error=False, print_error=True)
    except CycloptsError:
        return USAGE
    except ConfigError as error:
        return _say(error, USAGE)
    except NotFitted as error:
        return _say(error, NOT_READY)
    except ShoploomError as error:
        return _say(error, DATA)
    except KeyboardInterrupt:
        return _say(_STOPPED, INTERRUPTED)
    except Exception as error:
        if _was_interrupted(error):
            return _say(_STOPPED, INTERRUPTED)
        if not _disk_is_full(error):
            raise
        return _say(
            f"the disk is full ({error}); nothing that was there before is damaged. "
            "Free some space and run the same command again.",
            DATA,
        )
    return OK


def _was_interrupted(error: Exception) -> bool:
    """Whether Ctrl-C came while DuckDB was at work, which tells it as an error of its own."""
    return isinstance(error, RuntimeError) and "Query interrupted" in str(error)


def _disk_is_full(error: Exception) -> bool:
    """Whether the operating system, or DuckDB on its behalf, ran out of space."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    return type(error).__module__.endswith("duckdb") and "No space left" in str(error)


def _say(message: object, code: int) -> int:
    print(f"shoploom: {message}", file=sys.stderr)
    return code
