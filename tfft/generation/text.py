"""The text of a growing generation: which part is final, and where it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_HALF = "\ufffd"  # decoders write this for an incomplete character


class GrowingText:
    """The text of a generation while its tokens arrive.

    Args:
        decode: Maps ids to text.
        stop: Strings that end the text.

    >>> text = GrowingText(lambda ids: "".join(map(chr, ids)), stop=["END"])
    >>> [text.add(ord(letter)) for letter in "a EN"]
    ['a', ' ', '', '']
    >>> text.add(ord("D")), text.stopped, text.text
    ('', True, 'a ')
    """

    def __init__(
        self, decode: Callable[[Sequence[int]], str], stop: Sequence[str]
    ) -> None:
        self._decode, self._stop = decode, tuple(stop)
        self.token_ids: list[int] = []
        self.text = ""
        self.stopped = False
        self._shown = 0

    def add(self, token_id: int) -> str:
        """Adds a token and returns the text that has become final."""
        self.token_ids.append(token_id)
        self.text = self._decode(self.token_ids)
        ends = [at for at in map(self.text.find, self._stop) if at >= 0]
        if ends:
            self.text, self.stopped = self.text[: min(ends)], True
            return self.rest()
        certain = self.text.removesuffix(_HALF)
        return self._show(len(certain) - self._pending(certain))

    def rest(self) -> str:
        """Returns the text held back so far; call it after the last token."""
        return self._show(len(self.text))

    def _show(self, end: int) -> str:
        piece = self.text[self._shown : end]
        self._shown = max(self._shown, end)
        return piece

    def _pending(self, text: str) -> int:
        """Returns how many characters at the end may begin a stop string."""
        longest = max(map(len, self._stop), default=0)
        for size in range(min(longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-size:]) for stop in self._stop):
                return size
        return 0
