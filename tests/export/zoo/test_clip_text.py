from __future__ import annotations

import gzip
from itertools import pairwise

import pytest

from export.packages import Package, member
from export.store import Store
from export.zoo.clip_text import END, PROMPT, START, TOKENS

CLIP = Package("clip-anytorch", "2.6.0", "ebc0afed243851b9dc7e16ab8afb665237e8a5838986e97cd99f123ae4ce94ce", "MIT")
VOCABULARY = "clip/bpe_simple_vocab_16e6.txt.gz"


@pytest.mark.network
def test_the_tokens_are_those_of_the_published_vocabulary(store: Store) -> None:
    """Byte pairs are merged in the order of the list, and numbered after 256 bytes, alone and at the end of a word."""
    packed = member(
        CLIP, VOCABULARY, "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a", store
    ).read_bytes()
    lines = gzip.decompress(packed).decode().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [256 + i for i in range(256 - len(printable))]
    letters = [chr(code) for code in printable + others]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    ids = {word: i for i, word in enumerate(words)}
    ranks = {pair: i for i, pair in enumerate(merges)}

    def tokens(word: str) -> list[int]:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while pairs := [pair for pair in pairwise(parts) if pair in ranks]:
            first = min(pairs, key=lambda pair: ranks[pair])
            at = list(pairwise(parts)).index(first)
            parts[at : at + 2] = ["".join(first)]
        return [ids[part] for part in parts]

    assert (len(words), len(words) + 1) == (START, END)
    assert (START, *(token for word in PROMPT.split() for token in tokens(word)), END) == TOKENS
