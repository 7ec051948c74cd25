"""``python -m deepoj`` and the ``deepoj`` command.

All code before the version check must be valid in older Pythons, so that they print one clear line instead of a
traceback.
"""

import sys


def main() -> None:
    """Checks the Python, then hands over to the command line. Exits with the contract's codes."""
    if sys.version_info < (3, 13):  # noqa: UP036 - the package metadata is only looked at by installers
        found = "%d.%d" % sys.version_info[:2]  # noqa: UP031
        sys.stderr.write("deepoj: Python 3.13 or newer is needed, and this is %s.\n" % found)  # noqa: UP031
        sys.exit(2)
    from deepoj.cli import main as cli_main  # noqa: PLC0415 - only now is it certain that it can be parsed

    cli_main()


if __name__ == "__main__":
    main()
