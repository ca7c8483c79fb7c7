from __future__ import annotations

import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from trees import JPEG, account, labelled, packed, tar, write

from export.errors import UserError
from export.store import Store
from tasks.data.archives import from_archive
from tasks.data.catalog import locate
from tasks.data.layout import Source

SIX = {f"{c}/{i}.jpg": JPEG + f"{c}{i}".encode() for c in ("cat", "dog") for i in range(3)}


@pytest.fixture
def quiet(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", say=lambda line: None)


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as bundle:
        for name, content in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = name  # as it is: ZipInfo would turn some characters
            bundle.writestr(info, content)
    return path


def read(path: Path, store: Store) -> Source:
    return locate(str(path), store)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".zip"])
def test_archives_are_known_by_their_first_bytes(tmp_path: Path, quiet: Store, ending: str) -> None:
    path = packed(write(tmp_path / "p", SIX), tmp_path / f"a{ending}").rename(tmp_path / "download")
    found = read(path, quiet)
    assert {item.id: found.files.read(item.id) for item in found.items} == SIX
    assert found.files.head is not None
    assert found.files.head("cat/0.jpg") == SIX["cat/0.jpg"]


def test_a_zip_with_back_slashes(tmp_path: Path, quiet: Store) -> None:
    found = read(zipped(tmp_path / "a.zip", {f"photos\\{n.replace('/', chr(92))}": c for n, c in SIX.items()}), quiet)
    assert set(labelled(found)) == {f"photos/{name}" for name in SIX}


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path: Path, quiet: Store) -> None:
    inner = zipped(tmp_path / "i.zip", SIX).read_bytes()
    found = read(tar(tmp_path / "a.tar", {**SIX, "z.zip": inner}), quiet)
    assert (set(labelled(found)), account(found.left_out)) == (set(SIX), {"archives": 1})


def test_an_archive_in_an_archive_is_named(tmp_path: Path, quiet: Store) -> None:
    inner = zipped(tmp_path / "train.zip", SIX).read_bytes()
    for outer in (zipped(tmp_path / "a.zip", {"train.zip": inner}), tar(tmp_path / "a.tar", {"train.zip": inner})):
        with pytest.raises(UserError, match=r"1 archives \(train\.zip\)(.|\n)*unpack it"):
            read(outer, quiet)


def test_names_lead_nowhere_outside_and_are_counted(tmp_path: Path, quiet: Store) -> None:
    files = {f"/{name}": content for name, content in SIX.items()} | {"../x.jpg": JPEG, "cat/../../y.jpg": JPEG}
    for path in (zipped(tmp_path / "a.zip", files), tar(tmp_path / "a.tar", files)):
        found = read(path, quiet)
        assert set(labelled(found)) == set(SIX)
        assert account(found.left_out) == {"names that lead out of the archive": 2}


def test_of_entries_with_one_name_the_last_counts(tmp_path: Path, quiet: Store) -> None:
    with tarfile.open(tar(tmp_path / "a.tar", SIX), "a") as bundle:
        info = tarfile.TarInfo("./cat/0.jpg")
        info.size = 9
        bundle.addfile(info, io.BytesIO(b"the later"))
    with (
        zipfile.ZipFile(zipped(tmp_path / "a.zip", SIX), "a") as zip_bundle,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        zip_bundle.writestr("cat/0.jpg", b"the later")
    for name in ("a.tar", "a.zip"):
        found = read(tmp_path / name, quiet)
        assert found.files.read("cat/0.jpg") == b"the later"
        assert account(found.left_out) == {"entries that a later one of the same name replaces": 1}


def test_links_and_special_files_in_a_tar(tmp_path: Path, quiet: Store) -> None:
    others = {
        "dog/link.jpg": (tarfile.SYMTYPE, "../cat/1.jpg"),
        "dog/hard.jpg": (tarfile.LNKTYPE, "cat/2.jpg"),
        "dog/chain.jpg": (tarfile.SYMTYPE, "link.jpg"),
        "dog/loop.jpg": (tarfile.SYMTYPE, "loop.jpg"),
        "dog/out.jpg": (tarfile.SYMTYPE, "/etc/passwd"),
        "emu": (tarfile.SYMTYPE, "cat"),
        "dog/pipe.jpg": (tarfile.FIFOTYPE, ""),
        "dog/device": (tarfile.CHRTYPE, ""),
        "dog/empty": (tarfile.DIRTYPE, ""),
    }
    found = read(tar(tmp_path / "a.tar", SIX, others), quiet)
    assert len(found.items) == 9
    assert found.files.read("dog/chain.jpg") == SIX["cat/1.jpg"]
    assert found.files.read("dog/hard.jpg") == SIX["cat/2.jpg"]
    assert account(found.left_out) == {
        "links that lead nowhere": 2,
        "special files (pipes, sockets, devices)": 2,
        "links to folders that are read already": 1,
        "empty folders": 1,
    }


def test_links_in_a_zip(tmp_path: Path, quiet: Store) -> None:
    with zipfile.ZipFile(zipped(tmp_path / "a.zip", SIX), "a") as bundle:
        for name, target in (("dog/link.jpg", "../cat/1.jpg"), ("dog/bad.jpg", "nowhere")):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, 0o120777 << 16
            bundle.writestr(info, target)
    found = read(tmp_path / "a.zip", quiet)
    assert found.files.read("dog/link.jpg") == SIX["cat/1.jpg"]
    assert account(found.left_out) == {"links that lead nowhere": 1}


def test_sparse_files_of_a_tar_are_counted(tmp_path: Path, quiet: Store) -> None:
    path = tar(tmp_path / "a.tar", SIX)
    data = bytearray(path.read_bytes())
    header = data[:512]
    header[156:157] = b"S"  # old GNU sparse, with no parts in it
    header[257:265] = b"ustar  \0"
    header[345:512] = bytes(167)
    header[124:136] = header[483:495] = b"00000000000\0"
    header[148:156] = b"        "
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    header[:100] = b"cat/hole.jpg".ljust(100, b"\0")
    header[148:156] = b"        "
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    path.write_bytes(bytes(header) + bytes(data))
    assert account(read(path, quiet).left_out) == {"sparse files": 1}


def test_names_that_are_not_utf_8_can_be_shown(tmp_path: Path, quiet: Store) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as bundle:
        for name in ("caf\u00e9/1.jpg", "b/1.jpg"):
            info = tarfile.TarInfo(name)
            info.size = len(JPEG)
            bundle.addfile(info, io.BytesIO(JPEG))
    os.makedirs(os.fsencode(tmp_path / "p") + b"/caf\xe9")
    for folder in (b"caf\xe9", b"b"):
        os.makedirs(os.fsencode(tmp_path / "p") + b"/" + folder, exist_ok=True)
        with open(os.fsencode(tmp_path / "p") + b"/" + folder + b"/1.jpg", "wb") as file:
            file.write(JPEG)
    for path in (tmp_path / "a.tar", tmp_path / "p"):
        found = read(path, quiet)
        assert labelled(found) == {"b/1.jpg": ("b", None), "café/1.jpg": ("café", None)}
        assert found.notes == ("1 names of files are not UTF-8, and are shown as Latin-1",)
        assert found.files.read("café/1.jpg") == JPEG


def test_utf_8_in_a_zip_that_does_not_say_so(tmp_path: Path, quiet: Store) -> None:
    path = zipped(tmp_path / "a.zip", {"caf\u00e9/1.jpg": JPEG, "b/1.jpg": JPEG})
    data = path.read_bytes()
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature)
        data = data[: at + flags] + b"\0\0" + data[at + flags + 2 :]
    path.write_bytes(data)
    assert "café/1.jpg" in labelled(read(path, quiet))


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def flipped(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 255]) + data[len(data) // 2 + 1 :]


@pytest.mark.parametrize(
    ("ending", "change", "sentence"),
    [
        (".zip", cut, "It is cut off: the directory at the end"),
        (".tar", lambda data: data[:1600], "It ends inside|It is cut off"),
        (".tar", lambda data: data[:1024], "It is cut off after cat/0.jpg"),
        (".tar", lambda data: data[:1040] + b"\xff" + data[1041:], "It is cut off or damaged after cat/0.jpg"),
        (".tar", lambda data: data + data, "several archives were joined into one"),
        (".tar.gz", cut, "It is cut off or damaged: its compressed data end too early"),
        (".tar.gz", flipped, "damaged"),
        (".tar.gz", lambda data: data + b"<html>", "followed by something else"),
        (".tar.xz", cut, "It is cut off"),
        (".tar.xz", flipped, "damaged"),
        (".tar.bz2", cut, "It is cut off"),
        (".tar.bz2", flipped, "damaged"),
    ],
)
def test_damage_has_a_cause_and_no_bytes_of_it_are_printed(
    tmp_path: Path, quiet: Store, ending: str, change: object, sentence: str
) -> None:
    path = packed(write(tmp_path / "p", SIX), tmp_path / f"a{ending}")
    if ending == ".tar":
        tar(path, SIX)
    assert callable(change)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=rf"not a complete archive(.|\n)*({sentence})") as caught:
        read(path, quiet)
    assert "b'" not in str(caught.value)


def test_a_damaged_member_is_named_and_no_bytes_of_it_are_printed(tmp_path: Path, quiet: Store) -> None:
    path = zipped(tmp_path / "a.zip", SIX)
    data = bytearray(path.read_bytes())
    data[30] ^= 255  # the name in the member's own header
    path.write_bytes(data)
    with pytest.raises(OSError, match=r"^cat/0\.jpg is damaged inside a\.zip$"):
        from_archive(path, quiet).read("cat/0.jpg")


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_an_archive_that_changes_while_it_is_read_is_noticed(tmp_path: Path, quiet: Store, name: str) -> None:
    path = zipped(tmp_path / name, SIX) if name == "a.zip" else tar(tmp_path / name, SIX)
    files = from_archive(path, quiet)
    assert files.read("cat/0.jpg") == SIX["cat/0.jpg"]
    with path.open("ab") as file:
        file.write(bytes(512))
    with pytest.raises(OSError, match=f"{name} was changed while it was read"):
        files.read("cat/1.jpg")


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_threads_and_forked_processes_read_at_once(tmp_path: Path, quiet: Store, name: str) -> None:
    many = {f"{c}/{i}.jpg": JPEG + bytes([i]) * 40_000 for c in ("cat", "dog") for i in range(20)}
    files = from_archive(zipped(tmp_path / name, many) if name == "a.zip" else tar(tmp_path / name, many), quiet)

    def all_right(_: int) -> bool:
        return all(files.read(member) == content for member, content in many.items())

    assert all_right(0)
    child = os.fork()
    if not child:
        os._exit(0 if all(all_right(i) for i in range(5)) else 1)
    assert all(all_right(i) for i in range(5))
    assert os.waitpid(child, 0)[1] == 0
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(all_right, range(8)))


def test_an_encrypted_zip(tmp_path: Path, quiet: Store) -> None:
    path = zipped(tmp_path / "a.zip", SIX)
    path.write_bytes(marked(path.read_bytes(), 8, 1))
    with pytest.raises(UserError, match=r"a\.zip is encrypted: 6 of its 6 files(.|\n)*unpack it"):
        read(path, quiet)


def test_a_zip_in_a_method_that_python_lacks(tmp_path: Path, quiet: Store) -> None:
    path = zipped(tmp_path / "a.zip", SIX)
    path.write_bytes(marked(path.read_bytes(), 10, 9))
    with pytest.raises(UserError, match="does not read: Deflate64"):
        read(path, quiet)


def marked(data: bytes, offset: int, value: int) -> bytes:
    """A zip with two bytes of every entry of its directory set."""
    changed, at = bytearray(data), data.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<H", changed, at + offset, value)
        at = data.find(b"PK\x01\x02", at + 4)
    return bytes(changed)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.7z", b"7z\xbc\xaf\x27\x1c\0", r"a 7z archive, which is not read(.|\n)*7z x a\.7z"),
        ("a.rar", b"Rar!\x1a\x07\0", "a RAR archive"),
        ("a.tar.zst", b"\x28\xb5\x2f\xfd\0", r"a Zstandard archive(.|\n)*tar --zstd -xf a\.tar\.zst"),
        ("a.tar.lz4", b"\x04\x22\x4d\x18\0", "LZ4"),
        ("a.zip.001", b"PK\x03\x04", r"one part of an archive(.|\n)*cat a\.zip\.\* > a\.zip"),
        ("a.tar.gz.aa", b"\x1f\x8b\x08", "one part of an archive"),
        ("a.part1.rar", b"Rar!\x1a\x07\0", "one part of an archive"),
        ("a.jpg.gz", gzip.compress(JPEG, mtime=0), r"single compressed file(.|\n)*The kind of what it holds: images"),
        ("a.csv.xz", lzma.compress(b"path,label\n"), r"single compressed file(.|\n)*text files"),
        ("a.zip", b"", "is empty"),
        ("a.tar", bytes(10240), "nothing but zeros"),
        ("a.zip", b"version https://git-lfs.github.com/spec/v1\n", r"Git LFS pointer(.|\n)*git lfs pull"),
        ("a.zip", b"<!DOCTYPE html><html>", "an HTML page"),
        ("a.bin", b"\0\1\2\3", "Its first bytes are of no known format"),
        ("a.jpg", JPEG, r"a single image(.|\n)*at least two classes"),
        ("a.parquet", b"PAR1", "Parquet"),
        ("a.xlsx", b"PK\x03\x04", r"spreadsheets(.|\n)*save them as CSV"),
        ("a.json", b"{}", "JSON"),
        ("a.npz", b"PK\x03\x04", "arrays or records"),
    ],
)
def test_other_files_are_refused_for_what_they_are(
    tmp_path: Path, quiet: Store, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read(tmp_path / name, quiet)
