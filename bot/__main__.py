"""`conch` and `python -m bot`."""

import sys

from bot import cli


def main() -> None:
    sys.exit(cli.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
