"""A folder to make inputs of commands in."""

from __future__ import annotations

import pytest


class Box:
    """A folder to make inputs in."""

    def __init__(self, folder, model, rows, make_bert):
        self.folder, self.model, self.make_bert = folder, model, make_bert
        lines = [f"{row['text']},{row['label']}\n" for row in rows]
        self.good = "text,label\n" + "".join(lines)
        self.file("reviews.csv", self.good)

    def file(self, name, content):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def tune(self, data, *more, model=None, out="run"):
        given = {"model": model or self.model, "data": data}
        given["output_dir"] = self.folder / out
        words = [str(w) for name, v in given.items() for w in (f"--{name}", v)]
        return ["finetune", *words, "--verbose", "0", *more]

    def good_with(self, *more, **options):
        return self.tune(self.folder / "reviews.csv", *more, **options)

    def bad_data(self, name, content, *more):
        return self.tune(self.file(name, content), *more)

    def bad_model(self, change):
        folder = self.make_bert(self.folder / "model")
        change(folder / "model.safetensors")
        return self.good_with(model=folder)


@pytest.fixture
def box(tmp_path, bert_folder, make_rows, make_bert):
    return Box(tmp_path, bert_folder, make_rows(40), make_bert)
