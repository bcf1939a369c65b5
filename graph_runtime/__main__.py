"""The command line of Patchcord; every command imports only what it needs, so help and errors come at once."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from graph_runtime import __version__
from graph_runtime.places import DEFAULT_HOST, DEFAULT_PORT, default_data_dir

HELP = f"""\
Patchcord {__version__}: draw a conversation once; it chats, answers the phone and follows up.

First steps
  ./patchcord up              start everything on this machine and print the address to open
                              (the first start installs and builds: some minutes; later starts: seconds)
  ./patchcord test            run every check and test

For developers
  ./patchcord test --fast     linters and unit tests only
  ./patchcord test PATH ...   only these tests (add --no-checks to skip the linters)
  ./patchcord check           linters and type checker only
  ./patchcord new-node NAME   write nodes/NAME with everything a node needs
  ./patchcord new-connector NAME  write connectors/NAME, a channel that works
  ./patchcord bench NAME      measure: turns, editor, start, calls, connectors
  ./patchcord faults          kill, freeze and cut off real processes, and prove that nothing is lost or doubled
  ./patchcord docs            write the generated pages of docs/ again (steps, errors, flow schema)
  ./patchcord lock            write requirements.lock again after a change in pyproject.toml

In production (one process per command; see docs/)
  ./patchcord migrate         bring the database up to date
  ./patchcord web             pages, API and web chat on one port
  ./patchcord worker          turns, timers and deliveries
  ./patchcord voice           phone calls: the audio that Asterisk sends
  ./patchcord voice-spare     another one, which takes over when that one dies
  ./patchcord backup FILE     all rows of one moment, while it runs (--with-secret-key: the secret key, too)
  ./patchcord restore FILE    a backup into an empty --data DIR or database; then --release or --discard
                              what was unfinished in it
  ./patchcord rotate-keys     seal every saved secret with new keys, while it runs
  ./patchcord fetch-model NAME  a model that makes vectors on this machine, such as multilingual-e5-small

Settings of `up`, `web` and `worker`
  --port N     PATCHCORD_PORT          the port to listen on                  (now {{port}})
  --host ADDR  PATCHCORD_HOST          0.0.0.0 lets other machines connect    (now {{host}})
  --data DIR   PATCHCORD_DATA_DIR      database, secret key, logs             (now {{data}})
               DATABASE_URL            your own PostgreSQL with pgvector, instead of the built-in one
               REDIS_URL               needed only with several web processes
               PATCHCORD_ENVIRONMENT   production refuses missing and guessable secrets
               PATCHCORD_SECRET_KEY    at least 32 characters; made for you outside production

If something does not start, the message says what to do; the logs are in the data folder.
"""

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options, rest = _parser().parse_known_args(arguments)
    if options.version:
        print(__version__)
        return 0
    if options.help or options.command in (None, "help"):
        print(_help(), end="")
        return 0
    if rest and options.command not in PASSES_ARGUMENTS_ON:
        return _refuse(f"{' '.join(rest)} means nothing to ./patchcord {options.command}.")
    options.rest = rest
    _export_settings(options)
    try:
        return COMMANDS[options.command](options)
    except KeyboardInterrupt:
        return 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.exit(_refuse(message.removeprefix("argument ").replace("command: invalid choice", "unknown command")))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="patchcord", add_help=False, allow_abbrev=False)
    parser.add_argument("command", nargs="?", choices=["help", *COMMANDS], metavar="command")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--port", type=_port)
    parser.add_argument("--host")
    parser.add_argument("--data", type=Path)
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; a port is a number from 1 to 65535")
    return int(text)


def _refuse(message: str) -> int:
    print(f"{message}\nSee what is possible with: ./patchcord --help", file=sys.stderr)
    return 2


def _help() -> str:
    return HELP.format(
        port=os.environ.get("PATCHCORD_PORT") or DEFAULT_PORT,
        host=os.environ.get("PATCHCORD_HOST") or DEFAULT_HOST,
        data=os.environ.get("PATCHCORD_DATA_DIR") or default_data_dir(),
    )


def _export_settings(options: argparse.Namespace) -> None:
    """An option is the environment variable of the same meaning, so that child processes see it too."""
    for name, value in (("PORT", options.port), ("HOST", options.host)):
        if value is not None:
            os.environ[f"PATCHCORD_{name}"] = str(value)
    if options.data is not None:
        os.environ["PATCHCORD_DATA_DIR"] = str(options.data.expanduser().absolute())


def _up(_: argparse.Namespace) -> int:
    from graph_runtime.cli.up import Wish, run

    try:
        port = _port(os.environ.get("PATCHCORD_PORT") or str(DEFAULT_PORT))
    except argparse.ArgumentTypeError as error:
        return _refuse(f"PATCHCORD_PORT: {error}")
    data_dir = Path(os.environ.get("PATCHCORD_DATA_DIR") or default_data_dir()).expanduser().absolute()
    return run(Wish(data_dir=data_dir, host=os.environ.get("PATCHCORD_HOST") or DEFAULT_HOST, port=port))


def _process(module: str, function: str) -> Command:
    """A command that is one process of the program: it gets the settings and runs until it is stopped."""

    def command(_: argparse.Namespace) -> int:
        from graph_runtime.cli.lifeline import follow_supervisor
        from graph_runtime.cli.supervisor import REFUSED_TO_START
        from graph_runtime.settings import Settings, SettingsRefused

        follow_supervisor()
        try:
            settings = Settings.load()
            if settings.database_url is None:
                raise SettingsRefused(
                    "No database is known. Set DATABASE_URL, or run ./patchcord up, which brings one."
                )
        except SettingsRefused as error:
            print(error, file=sys.stderr)
            return REFUSED_TO_START
        _load(module, function)(settings)
        return 0

    return command


def _migrate(_: argparse.Namespace) -> int:
    from graph_runtime.cli.supervisor import REFUSED_TO_START
    from graph_runtime.settings import Settings, SettingsRefused

    try:
        url = Settings.load().migration_url
    except SettingsRefused as error:
        print(error, file=sys.stderr)
        return REFUSED_TO_START
    _load("graph_runtime.storage.migrate", "upgrade")(url)
    return 0


def _tool(module: str) -> Command:
    """A command for developers that reads its own arguments."""

    def command(options: argparse.Namespace) -> int:
        result = _load(module, "run")(options.rest)
        return int(result or 0)

    return command


def _load(module: str, function: str) -> Any:
    return getattr(importlib.import_module(module), function)


PASSES_ARGUMENTS_ON = (
    "test",
    "check",
    "lock",
    "docs",
    "new-node",
    "new-connector",
    "bench",
    "faults",
    "backup",
    "restore",
    "rotate-keys",
    "fetch-model",
)
COMMANDS: dict[str, Command] = {
    "up": _up,
    "web": _process("graph_runtime.api.server", "serve"),
    "worker": _process("graph_runtime.worker.main", "run"),
    "voice": _process("voice.main", "run"),
    "voice-spare": _process("voice.main", "run"),
    "migrate": _migrate,
    "backup": _tool("graph_runtime.cli.backup"),
    "restore": _tool("graph_runtime.cli.restore"),
    "rotate-keys": _tool("graph_runtime.cli.rotate_keys"),
    "fetch-model": _tool("graph_runtime.cli.fetch_model"),
    "test": _tool("graph_runtime.cli.test_run"),
    "check": _tool("graph_runtime.cli.checks"),
    "docs": _tool("graph_runtime.cli.docs"),
    "lock": _tool("graph_runtime.cli.lock"),
    "new-node": _tool("graph_runtime.cli.new_node"),
    "new-connector": _tool("graph_runtime.cli.new_connector"),
    "bench": _tool("graph_runtime.cli.bench"),
    "faults": _tool("graph_runtime.cli.faults"),
}

if __name__ == "__main__":
    sys.exit(main())
