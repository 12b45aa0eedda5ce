# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIPSeg (Lüddecke & Ecker, CVPR 2022): CLIP's encoders and a small decoder."""
