# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""VLSM-Adapter (Dhakal et al., MICCAI 2024): bottlenecks in a frozen CLIPSeg."""
