# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Weights of the hosts' public repositories, brought to this project's names; one file per host."""
