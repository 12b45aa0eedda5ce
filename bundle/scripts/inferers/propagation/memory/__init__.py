# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What is kept from one answer to the next."""
