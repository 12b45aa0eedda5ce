# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""LSMS (arXiv 2408.17347), reconstructed: language in every scale of a convolutional encoder, a decoder over all."""
