"""The graph of the train step forms no gradient of a frozen kernel.

The dimensions are chosen so that no activation has the shape of a kernel: a tensor of
such a shape that is not the kernel itself, moved or cast, can only be its gradient.
"""

import math

import pytest
import tensorflow as tf

HIDDEN, INNER, HEADS, VOCABULARY, SEGMENTS = 20, 34, 2, 60, 5
ROWS, LENGTH = 3, 7

# Operations that hand on a value: what they yield is the kernel, if it is one.
_MOVES = {
    "_Arg", "Placeholder", "ReadVariableOp", "Identity", "Cast", "Reshape",
    "Transpose", "Squeeze", "ExpandDims",
}  # fmt: skip


def live_nodes(graph):
    """Yields the nodes of a graph, and of functions it calls, that will run.

    TensorFlow drops what no output and no side effect needs before it runs a graph.
    It must be left out here too: the gradient of a batched product is written down
    for both factors, whoever asked.
    """
    definition = graph.as_graph_def(add_shapes=True)
    functions = {one.signature.name: one for one in definition.library.function}
    roots = [tensor.op.name for tensor in graph.outputs]
    roots += [operation.name for operation in graph.control_outputs]
    pending, seen = [(definition.node, roots)], set()
    while pending:
        nodes, names = pending.pop()
        by_name, reached = {node.name: node for node in nodes}, set()
        while names:
            name = names.pop().removeprefix("^").split(":")[0]
            if name in reached or name not in by_name:
                continue
            reached.add(name)
            names.extend(by_name[name].input)
            yield by_name[name]
            for called in _called(by_name[name]) - seen:
                seen.add(called)
                body = functions[called]
                ends = [*body.ret.values(), *body.control_ret.values()]
                pending.append((body.node_def, ends))


def _called(node):
    attributes = node.attr.values()
    names = {one.func.name for one in attributes if one.HasField("func")}
    return names | {each.name for one in attributes for each in one.list.func}


def computed_shapes(graph):
    """Returns the shapes, sorted and without ones, of all that is computed."""
    found = set()
    for node in live_nodes(graph):
        if node.op in _MOVES:
            continue
        for shape in node.attr["_output_shapes"].list.shape:
            if not shape.unknown_rank:
                found.add(_plain(d.size for d in shape.dim))
    return found


def _plain(shape):
    return tuple(sorted(size for size in shape if size != 1))


def shapes_of(variable):
    """Returns the shapes a kernel's gradient can have: its own, and as a matrix."""
    shape = tuple(variable.shape)
    matrices = {
        (math.prod(shape[:cut]), math.prod(shape[cut:])) for cut in range(1, len(shape))
    }
    return {_plain(one) for one in {shape, *matrices}}


@pytest.fixture
def step_graph(make_backbone, make_training, make_batch, tensors_of):
    """Traces the train step of a method; returns the graph and the model."""

    def trace(method, **options):
        backbone = make_backbone(
            vocabulary_size=VOCABULARY,
            num_heads=HEADS,
            num_segments=SEGMENTS,
            hidden_dim=HIDDEN,
            intermediate_dim=INNER,
            max_sequence_length=13,
        )
        adapter, model = make_training(method, backbone, **options)
        step = tf.function(model.gradient)
        batch = tensors_of(make_batch(ROWS, LENGTH))
        return step.get_concrete_function(batch).graph, adapter

    return trace


def kernels(adapter):
    """Returns the kernels and embeddings of the wrapped layers and all others."""
    names = ("kernel", "embeddings")
    found = [v for v in adapter.backbone.weights if v.name in names]
    assert len(found) == 3 + 2 * 6 + 1
    return found


def formed(graph, adapter):
    shapes = computed_shapes(graph)
    return {v.path for v in kernels(adapter) if shapes_of(v) & shapes}


def test_the_search_finds_every_gradient_when_all_train(step_graph):
    graph, adapter = step_graph("full")
    assert formed(graph, adapter) == {v.path for v in kernels(adapter)}


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("head", {}),
        ("lora", {"rank": 3}),
        ("lora", {"rank": 3, "target": ("all-linear",), "dropout": 0.1}),
    ],
)
def test_no_gradient_of_a_frozen_kernel_is_formed(method, options, step_graph):
    graph, adapter = step_graph(method, **options)
    assert not any(v.trainable for v in kernels(adapter))
    assert formed(graph, adapter) == set()
    # What does train is found by the same search.
    shapes = computed_shapes(graph)
    for variable in adapter.variables:
        assert shapes_of(variable) & shapes, variable.path


def test_below_the_last_layers_no_gradient_is_formed(step_graph):
    graph, adapter = step_graph("last_layers", count=1)
    products = [
        node for node in live_nodes(graph)
        if node.op in ("MatMul", "BatchMatMulV2", "Einsum", "BatchMatMulV3")
    ]  # fmt: skip

    def count(variable):
        wanted = shapes_of(variable)
        return sum(
            _plain(d.size for d in shape.dim) in wanted
            for node in products
            for shape in node.attr["_output_shapes"].list.shape
        )

    top = [v for v in kernels(adapter) if v.trainable and "intermediate" in v.path]
    assert len(top) == 1
    # Both layers' kernels have one shape; inner × hidden is formed for two
    # kernels of the one layer that trains, not for four of two.
    assert count(top[0]) == 2
