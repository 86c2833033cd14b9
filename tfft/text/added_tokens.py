"""Tokens added to a vocabulary, and those placed around every text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfft.text.tokenizer_settings import Settings

if TYPE_CHECKING:
    import tokenizers
    from tokenizers import AddedToken

_ORDER = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


def add_tokens(
    library: tokenizers.Tokenizer,
    settings: Settings,
    named: Mapping[str, AddedToken | None],
) -> None:
    """Adds tokens in the same order as transformers, because it decides the new ids.

    Args:
        library: The tokenizer; changed in place.
        settings: The settings in the model folder.
        named: The tokens by role, including those of the tokenizer class.
    """
    there = library.get_added_tokens_decoder().values()
    known = {repr(token) for token in there}
    added = [token for token in settings.added if repr(token) not in known]
    spelled = {token.content for token in (*there, *added)}
    specials = [token for token in _ordered(named) if token is not None]
    names = {token.content for token in specials}
    for token in added:
        token.special = token.special or token.content in names
    new = [one for one in (*specials, *settings.extra) if one.content not in spelled]
    library.add_tokens([*added, *_with_embeddings(library, settings, new)])


def _ordered(named: Mapping[str, AddedToken | None]) -> list[AddedToken | None]:
    """Returns the tokens in the order of transformers, with other roles last."""
    first = [role for role in _ORDER if role in named]
    return [named[role] for role in dict.fromkeys([*first, *named])]


def _with_embeddings(
    library: tokenizers.Tokenizer, settings: Settings, tokens: Sequence[AddedToken]
) -> list[AddedToken]:
    """Leaves out tokens of the class that neither a file nor the vocabulary names.

    Transformers gives them new ids, for which the model has no embedding. Tokens that
    come before a token named in a file stay, because they decide its id.
    """
    said = {token.content for token in settings.named.values() if token is not None}
    said |= {token.content for token in settings.extra}
    new = [library.token_to_id(token.content) is None for token in tokens]
    last = max(
        (
            place
            for place, token in enumerate(tokens)
            if new[place] and token.content in said
        ),
        default=-1,
    )
    return [
        token for place, token in enumerate(tokens) if place <= last or not new[place]
    ]


def bos_and_eos(
    library: tokenizers.Tokenizer, roles: Mapping[str, str], options: Mapping[str, Any]
) -> Any:
    """Returns the post-processor for `add_bos_token` and `add_eos_token`."""
    from tokenizers import processors

    bos, eos = (
        [roles[role]] if options.get(f"add_{role}_token") and role in roles else []
        for role in ("bos", "eos")
    )
    if not bos and not eos:
        return None
    single = [f"{token}:0" for token in bos] + ["$A:0"]
    single += [f"{token}:0" for token in eos]
    pair = [f"{token}:1" for token in bos] + ["$B:1"]
    pair += [f"{token}:1" for token in eos]
    tokens = [(token, library.token_to_id(token)) for token in {*bos, *eos}]
    return processors.TemplateProcessing(single, [*single, *pair], tokens)


def one_segment(library: tokenizers.Tokenizer) -> bool:
    """Puts every token into segment 0, for a model that does not read segments.

    Returns:
        Whether this changed anything.
    """
    from tokenizers import processors

    if not any(library.encode("a", "a").type_ids):
        return False
    rules = json.loads(library.to_str())["post_processor"] or {}
    if rules.get("type") == "TemplateProcessing":
        parts = [_without_segment(rules[name]) for name in ("single", "pair")]
        tokens = list(rules["special_tokens"].values())
        library.post_processor = processors.TemplateProcessing(*parts, tokens)
        return True
    if rules.get("type") == "BertProcessing":
        (end, _), (start, _) = ends = rules["sep"], rules["cls"]
        single = [f"{start}:0", "$A:0", f"{end}:0"]
        library.post_processor = processors.TemplateProcessing(
            single, [*single, "$B:0", f"{end}:0"], [tuple(one) for one in ends]
        )
        return True
    plain = processors.TemplateProcessing(["$A:0"], ["$A:0", "$B:0"], [])
    before = [library.post_processor] if library.post_processor is not None else []
    library.post_processor = processors.Sequence([*before, plain])
    return True


def _without_segment(parts: list[dict[str, dict[str, Any]]]) -> list[str]:
    """Returns the parts of a template, all with segment 0."""
    found = []
    for part in parts:
        [(kind, one)] = part.items()
        found.append(f"${one['id']}:0" if kind == "Sequence" else f"{one['id']}:0")
    return found
