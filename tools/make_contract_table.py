"""Writes docs/contracts.md from the conformance suite."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.conformance.page import contracts_page  # noqa: E402 (needs the path above)

if __name__ == "__main__":
    (ROOT / "docs" / "contracts.md").write_text(contracts_page(), encoding="utf-8")
