#!/usr/bin/env bash
# keras 3.15.1: the default distillation loss is not a divergence. It falls below zero
# while teacher and student still differ.
#
# Expected: `LogitsDistillation()` minimizes the Kullback-Leibler divergence between the
#   softened outputs of teacher and student (Hinton et al., 2015). A divergence is never
#   negative, and it is 0 only if both agree.
# Actual: the logits are divided by the temperature and passed to `kl_divergence`
#   without a softmax. That function clips its inputs to [1e-7, 1] as if they were
#   probabilities: negative logits become 1e-7, large ones 1. The minimum of the loss is
#   no longer at the teacher, and training drives it below zero.
# Workaround: pass your own loss that applies the softmax to both sides.
#
# Output, for a student of a classifier with three classes, 60 epochs, temperature 2:
#   Keras' loss               2.826 -> -0.420
#   the divergence itself     0.0136, with other answers for 6 % of the rows
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check \
  tensorflow==2.21.0 keras==3.15.1

TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" 2> "$work/stderr" - <<'END' || { cat "$work/stderr" >&2; exit 1; }
import keras
import numpy as np
from keras.distillation import Distiller, LogitsDistillation


def network():
    layers = [keras.layers.Dense(8, "tanh"), keras.layers.Dense(3)]
    return keras.Sequential([keras.layers.Input((4,)), *layers])


def softened(model):
    z = model.predict(x, verbose=0) / 2
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
y = x[:, :3].argmax(axis=1)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

teacher = network()
teacher.compile("adam", loss)
teacher.fit(x, y, epochs=20, verbose=0)

student = network()
distiller = Distiller(
    teacher=teacher,
    student=student,
    distillation_losses=LogitsDistillation(temperature=2.0),
    student_loss_weight=0.0,
)
distiller.compile(keras.optimizers.Adam(1e-2), loss=loss)
seen = distiller.fit(x, y, epochs=60, verbose=0).history["distillation_loss"]

p, q = softened(teacher), softened(student)
divergence = float((p * np.log(p / q)).sum(axis=-1).mean())
agree = float((p.argmax(axis=1) == q.argmax(axis=1)).mean())
print(f"Keras' loss            {seen[0]:.3f} -> {seen[-1]:.3f}")
print(f"the divergence itself  {divergence:.4f}, same answers {agree:.0%}")
assert seen[-1] < 0 < divergence, "the loss is a divergence now"
END
