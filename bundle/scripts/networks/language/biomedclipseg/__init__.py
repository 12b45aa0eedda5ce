# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""BiomedCLIPSeg (Poudel et al., MIDL 2024): CLIPSeg's decoder on BiomedCLIP."""
