"""Which LoRA has room for which, so that a search traces one network for them."""

import pytest

from tfft.methods.bitfit import BitFit
from tfft.methods.lora import LoRA
from tfft.methods.method import Method


@pytest.mark.parametrize(
    ("rank", "largest", "room"),
    [
        (4, {"rank": 16}, 16),
        (16, {"rank": 16}, 16),
        (3, {"rank": 16}, 16),
        (2, {"rank": 16}, 2),  # a product eight times as large would cost too much
        (8, {"rank": 256}, 32),
        (4, {"alpha": 64.0}, 4),
        (32, {"rank": 16}, 32),
    ],
)
def test_the_room_is_the_largest_rank_but_less_than_eight_times(rank, largest, room):
    assert LoRA(rank=rank).with_room(largest) == LoRA(rank=room, alpha=1.0)


def test_all_other_options_stay_so_that_only_like_methods_share():
    one = LoRA(rank=4, dropout=0.1, target="query", use_dora=True)
    assert one.with_room({"rank": 8}) == LoRA(
        rank=8, alpha=1.0, dropout=0.1, target="query", use_dora=True
    )


@pytest.mark.parametrize(
    ("method", "largest"),
    [
        (LoRA(), {}),
        (LoRA(), {"dropout": 0.3}),
        (LoRA(rank_pattern={"query": 2}), {"rank": 16}),
        (LoRA(alpha_pattern={"query": 2.0}), {"rank": 16}),
        (BitFit(), {"rank": 16}),
    ],
)
def test_others_want_a_network_of_their_own(method, largest):
    assert method.with_room(largest) is None


def test_a_method_without_room_for_others_says_so():
    with pytest.raises(NotImplementedError, match="bitfit"):
        Method.become(BitFit(), None, LoRA())
