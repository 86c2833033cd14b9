"""The Keras layers of tfft, for models built by hand."""

from tfft.methods.layers.lora import LoRADense, LoRAEinsumDense

__all__ = ["LoRADense", "LoRAEinsumDense"]
