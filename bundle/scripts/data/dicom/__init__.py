# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""DICOM: series to volumes, label maps from DICOM-SEG and from pictures."""
