from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode

from bench.report.packed import element, embedded, folded, packed


def test_embedded_json_cannot_end_its_element() -> None:
    values = {"</script><!--": ["\u2028", "é", 1.5, None]}
    text = embedded(values)
    assert "<" not in text
    assert json.loads(text) == values


def test_what_is_packed_comes_back_and_is_the_same_every_time() -> None:
    data = bytes(range(256)) * 9
    assert gzip.decompress(b64decode(packed(data))) == data
    assert packed(data) == packed(data)
    assert element('a"<', data).startswith('<script type="text/plain" id="a&quot;&lt;">')


def test_what_is_folded_lies_in_an_attribute_whatever_it_holds() -> None:
    text = folded("<all>", '<table title="x">')
    assert "<summary>&lt;all&gt;</summary>" in text
    [data] = re.findall('data-packed="([^"]*)"', text)
    assert gzip.decompress(b64decode(data)) == b'<table title="x">'
