"""What `fusor data text` packs, h5py reads: usage: h5py_shards.py FUSOR_PROGRAM."""
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
