# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The command ``segprompt``: thin commands over the bundle's workflows, and over the volume session."""
