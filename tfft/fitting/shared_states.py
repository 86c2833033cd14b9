"""The states of frozen layers that all trainings of a session share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfft.compute.split_frozen import Split
from tfft.data.batching import Batches, Examples
from tfft.fitting.frozen import (
    FrozenStates,
    choose_split,
    remove_states,
    same_below,
    states_with_room,
)
from tfft.fitting.network import Plan
from tfft.runs.folder import FROZEN


class SharedStates:
    """Finds or makes the states of frozen layers for each training.

    Trainings share states when their networks are the same below the cut and compute
    in the same precision, whatever their seeds, rows and learning rates.

    Args:
        examples: All rows that trainings may ask for.
        folder: The folder of the session, for states that do not fit into memory.
        note: Shows the user notes, each once.
        once: Whether there is a single training.
    """

    def __init__(
        self,
        examples: Sequence[Examples],
        folder: Path | None,
        note: Callable[[Sequence[str]], None],
        *,
        once: bool,
    ) -> None:
        self._examples, self._note, self._once = examples, note, once
        # A folder of this process: several may take part in a search.
        self._folder = folder and folder / FROZEN / str(os.getpid())
        self._states: dict[str, FrozenStates | None] = {}

    def shorten(self, plan: Plan) -> tuple[Any, Batches, Any]:
        """Returns what to train, on what, and the forward pass that validates.

        That is the part of the network above the frozen layers, on their states; or the
        whole network on ids, when there is no such part.

        Raises:
            ConfigError: For `cache_frozen=True` and a network that cannot be cut.
        """
        network, rows = plan.network, plan.rows
        split, states = self._states_of(plan)
        if states is None:
            return network.built.network, plan.batches, network.forward(plan.policy)
        states.add(rows.examples)
        if rows.validation:
            tokenizer = network.built.pretrained.tokenizer
            states.add(rows.task.encode(rows.validation, tokenizer, None).examples)
        batches = plan.batches.of(states.find(rows.examples, split))
        return split.rest, batches, network.forward_over(states, split, plan.policy)

    def _states_of(self, plan: Plan) -> tuple[Split | None, FrozenStates | None]:
        """Returns where a network is cut and the states there; None without a cut."""
        config, network = plan.config, plan.network
        # Of several trainings, each passes the rows: more than one epoch in all.
        passes = config.epochs + (not self._once)
        split, note = choose_split(network, config.cache_frozen, passes)
        self._note([note] if note else [])
        if split is None:
            return None, None
        key = f"{plan.policy} {same_below(split, network.built.pretrained.backbone)}"
        if key not in self._states:
            states, note = states_with_room(
                split,
                self._examples,
                self._folder / str(len(self._states)),
                required=bool(config.cache_frozen),
            )
            self._note([note])
            self._states[key] = states
        return split, self._states[key]

    def clear(self) -> None:
        """Forgets all states, in memory and on the disk."""
        self._states.clear()
        if self._folder:
            remove_states(self._folder, others=self._once)
