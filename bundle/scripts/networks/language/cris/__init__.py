# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CRIS (Wang et al., CVPR 2022): CLIP's ResNet and text transformer, a neck, a decoder and a projector."""
