"""``python -m deepoj`` and the ``deepoj`` command."""

from __future__ import annotations


def main() -> None:
    """Hands over to the command line."""
    from deepoj.cli import main as cli_main  # noqa: PLC0415 - the import is the work; keep `--help` light

    cli_main()


if __name__ == "__main__":
    main()
