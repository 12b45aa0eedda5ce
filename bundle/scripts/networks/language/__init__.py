# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Networks that segment what words ask for; see docs/language.md."""
