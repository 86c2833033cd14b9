"""20,000 mutants of model files: no crash, no second lost, nothing done outside."""

from __future__ import annotations

import pytest

from tests.fixtures.untrusted import (
    NAMES,
    build_once,
    fuzz_configs,
    fuzz_indexes,
    fuzz_tokenizers,
    fuzz_weights,
)
from tests.goldens import golden
from tfft.models.load_backbone import load_backbone

pytestmark = pytest.mark.slow


def test_twenty_thousand_mutants(tmp_path, monkeypatch):
    loaded = {name: load_backbone(golden(name)[0]) for name in NAMES}
    build_once(monkeypatch)
    folders = [tmp_path / name for name in ("weights", "configs", "others", "words")]
    for folder in folders:
        folder.mkdir()
    counts = (
        fuzz_weights(loaded, folders[0], 10_000),
        fuzz_configs(folders[1], 6_000),
        fuzz_indexes(folders[2], 2_000),
        fuzz_tokenizers(folders[3], 2_000),
    )
    assert sum(map(sum, counts)) == 20_000
    # Bits of values flip unseen, and some changes mean nothing; most are refused.
    assert all(refused > taken > 0 for refused, taken in counts), counts
