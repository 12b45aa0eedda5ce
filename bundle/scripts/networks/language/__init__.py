# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Networks that segment what words ask for; see docs/language.md."""

from ...public_face import public_face

__getattr__, __dir__, __all__ = public_face(__name__, __file__)
