"""What the scripts beside this file write their tensors with."""

import json

import numpy as np


def write_safetensors(path, tensors, metadata=None):
    names = {"float64": "F64", "float32": "F32", "int32": "I32", "uint8": "U8"}
    header, blobs, end = {"__metadata__": {k: str(v) for k, v in (metadata or {}).items()}}, [], 0
    for name, array in tensors.items():
        blobs.append(np.ascontiguousarray(array).tobytes())
        begin, end = end, end + len(blobs[-1])
        header[name] = {"dtype": names[str(array.dtype)], "shape": array.shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))
