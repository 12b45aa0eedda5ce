# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Segmentation by prompt.

A MONAI bundle calls this package ``scripts``; ``pip install`` gives it the name ``segprompt``. One process uses one of
the two names. Both find the configurations beside the code (``files/bundle_root.py``).
"""

from .version import version

__all__ = ["__version__"]

__version__ = version()
