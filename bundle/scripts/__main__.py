# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``python -m segprompt``: the command, where it isn't on the PATH."""

from .cli.app import main

if __name__ == "__main__":
    main()
