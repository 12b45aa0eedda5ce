# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a path is, by its name and, for DICOM, by a look into it."""

from __future__ import annotations

from pathlib import Path

from .itk_file import ITK_SUFFIXES, is_itk_name

__all__ = [
    "is_dicom_source",
    "is_nifti_name",
    "is_volume_file",
    "is_volume_name",
    "require_volume",
    "volume_stem",
]

_SUFFIXES = (".nii", ".nii.gz")


def is_nifti_name(path: str | Path) -> bool:
    """Whether the name is that of a NIfTI file."""
    return str(path).lower().endswith(_SUFFIXES)


def is_dicom_source(path: str | Path) -> bool:
    """Whether this is a folder (of a DICOM series) or a DICOM file, and no NIfTI file."""
    return not is_volume_name(path) and _is_dicom_path(path)


def is_volume_name(path: str | Path) -> bool:
    """Whether the name is that of a volume in one file: NIfTI, NRRD or MetaImage."""
    return is_nifti_name(path) or is_itk_name(path)


def is_volume_file(path: str | Path) -> bool:
    """Whether this is a volume: by its name NIfTI, NRRD or MetaImage, a folder (of a DICOM series), or a DICOM file."""
    return is_volume_name(path) or _is_dicom_path(path)


def require_volume(key: str, path: str | Path) -> None:
    """Raise an error that names ``key`` where ``path`` is missing (FileNotFoundError) or no volume (ValueError)."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{key} {path} does not exist")
    if not is_volume_file(path):
        raise ValueError(f"{key} {path} is not a NIfTI file (.nii or .nii.gz), nor DICOM, NRRD or MetaImage")


def volume_stem(path: str | Path) -> str:
    """File name without ``.nii``, ``.nii.gz`` or the suffix of DICOM files; name of a folder."""
    path = Path(path).absolute()
    for suffix in (".nii.gz", ".nii", ".seg.nrrd", *ITK_SUFFIXES):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    from .dicom.header import has_dicom_name

    return path.stem if has_dicom_name(path) else path.name


def _is_dicom_path(path: str | Path) -> bool:
    from .dicom.series import is_dicom_path

    return is_dicom_path(path)
