# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Which method's cases are checked by what."""

from golden_checks.cdtg import check_cdtg
from golden_checks.dmtnet import check_dmtnet
from golden_checks.ifa import check_ifa
from golden_checks.lsms import check_lsms
from golden_checks.patnet import check_patnet
from golden_checks.pmms import check_pmms
from golden_checks.qnet import check_qnet
from golden_checks.vlsm import check_vlsm

BUILT = {
    "cdtg": check_cdtg,
    "dmtnet": check_dmtnet,
    "ifa": check_ifa,
    "lsms": check_lsms,
    "patnet": check_patnet,
    "pmms": check_pmms,
    "qnet": check_qnet,
    "vlsm": check_vlsm,
}
NOT_BUILT: tuple[str, ...] = ()
