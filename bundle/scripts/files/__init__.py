# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Files: written whole or not at all, in the order in which a person counts."""
