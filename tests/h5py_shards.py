"""What `fusor data` packs, h5py reads: usage: h5py_shards.py FUSOR_PROGRAM."""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import h5py
except ImportError:
    print("skipped: h5py is not installed")
    sys.exit(77)

fusor = sys.argv[1]
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    documents = [f"document {i} {'x' * (i % 17)}\n".encode() for i in range(300)]
    (folder / "in.txt").write_bytes(b"".join(documents))
    subprocess.run([fusor, "data", "text", "--input", folder / "in.txt", "--output", folder / "set",
                    "--separator", r"\n"], check=True)
    found = []
    for split in json.loads((folder / "set/manifest.json").read_text())["splits"].values():
        for entry in split:
            with h5py.File(folder / "set" / entry["file"]) as shard:
                tokens, offsets = shard["tokens"][:], shard["offsets"][:]
            assert len(tokens) == entry["tokens"] and len(offsets) == entry["documents"] + 1
            found += [tokens[a:b].tobytes() for a, b in zip(offsets, offsets[1:])]
    assert sorted(found) == sorted(documents)

    pixels = bytes(range(256)) * 3  # 64 images of 3 x 4, their classes 0 to 3
    (folder / "idx").mkdir()
    (folder / "idx/train-images-idx3-ubyte").write_bytes(
        bytes([0, 0, 8, 3, 0, 0, 0, 64, 0, 0, 0, 3, 0, 0, 0, 4]) + pixels)
    (folder / "idx/train-labels-idx1-ubyte").write_bytes(
        bytes([0, 0, 8, 1, 0, 0, 0, 64]) + bytes(i % 4 for i in range(64)))
    subprocess.run([fusor, "data", "images", "--input", folder / "idx", "--output", folder / "images",
                    "--channels", "1"], check=True)
    with h5py.File(folder / "images/train-00000.h5") as shard:
        assert shard["image"].shape == (64, 3, 4, 1) and shard["image"][:].tobytes() == pixels
        assert shard["label"][:].tolist() == [i % 4 for i in range(64)]
        assert set(shard["present"][:]) == {3} and len(shard["group"]) == 64
