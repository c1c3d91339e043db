"""`conch` and `python -m bot`."""

import os
import sys

from bot import cli


def main() -> None:
    # Prompts, pictures and the ledger are nobody's but the bot's own user's.
    os.umask(0o077)
    try:
        code = cli.main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our lines has enough (`conch catalog | head`); the interpreter must not flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = cli.FAILED
    sys.exit(code)


if __name__ == "__main__":
    main()
