"""What nvcc says of Fusor's own kernels: registers, spills and shared memory, as a Markdown table.

    registers.py [BUILD_FOLDER] [--architecture 90] [--all]       BUILD_FOLDER is build/cuda unless given

Compiles each .cu file of BUILD_FOLDER/compile_commands.json once more, for one architecture, with -Xptxas -v. Lists
the kernels that spill, or take more than 64 registers; with --all, every kernel. A kernel of several element types is
one row with the most that any of them takes.
"""

import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys


def command_of(entry, architecture):
    """The entry's command for this architecture alone, with a report and no result."""
    words, kept = shlex.split(entry["command"]), []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MT", "--generate-code", "-gencode"):
            skip = True
        elif not word.startswith(("--generate-code=", "-gencode=", "-MD", "ccache")):
            kept.append(word)
    return kept + ["-gencode", f"arch=compute_{architecture},code=sm_{architecture}", "-Xptxas", "-v", "-o", "/dev/null"]


def kernels_of(report):
    """(mangled name, registers, bytes spilled, bytes of shared memory) of each kernel."""
    name, spilled = None, 0
    for line in report.splitlines():
        if found := re.search(r"Compiling entry function '(\w+)'", line):
            name, spilled = found[1], 0
        elif found := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spilled = int(found[1]) + int(found[2])
        elif name and (found := re.search(r"Used (\d+) registers", line)):
            shared = re.search(r"(\d+) bytes smem", line)
            yield name, int(found[1]), spilled, int(shared[1]) if shared else 0


def plain_names(mangled):
    """The kernels' names without namespaces, template arguments and parameters."""
    text = subprocess.run(["c++filt"], input="\n".join(mangled), capture_output=True, text=True, check=True).stdout
    for line in text.splitlines():
        line = re.sub(r"\(anonymous namespace\)::|<unnamed>::", "", line)
        line = re.sub(r"^void ", "", line)
        yield re.split(r"[<(]", line)[0].split("::")[-1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default="build/cuda")
    parser.add_argument("--architecture", default="90")
    parser.add_argument("--all", action="store_true")
    args = parser.parse_args()
    worst, count = {}, 0
    for entry in json.loads(pathlib.Path(args.build, "compile_commands.json").read_text()):
        if not entry["file"].endswith(".cu"):
            continue
        done = subprocess.run(command_of(entry, args.architecture), cwd=entry["directory"], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{entry['file']} does not compile:\n{done.stderr}")
        found = list(kernels_of(done.stderr + done.stdout))
        count += len(found)
        for name, (_, *figures) in zip(plain_names([kernel[0] for kernel in found]), found):
            key = (pathlib.Path(entry["file"]).name, name)
            worst[key] = [max(pair) for pair in zip(worst.get(key, [0, 0, 0]), figures)]
    print(f"sm_{args.architecture}: {count} kernels of {len(worst)} names.\n")
    print("| file | kernel | registers | bytes spilled | bytes shared |\n|---|---|---|---|---|")
    for (file, name), (registers, spilled, shared) in sorted(worst.items()):
        if args.all or spilled or registers > 64:
            print(f"| {file} | {name} | {registers} | {spilled} | {shared} |")


if __name__ == "__main__":
    main()
