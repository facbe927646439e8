#!/usr/bin/env python3
"""Makes the Python modules of protos/ with protoc: `generate.py FOLDER`. Their package is `orderwire`, too."""
import pathlib
import subprocess
import sys

PROTOS = pathlib.Path(__file__).resolve().parents[2] / "protos"


def generate(folder: str) -> None:
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    files = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("orderwire/**/*.proto"))
    subprocess.run(["protoc", f"-I{PROTOS}", f"--python_out={folder}", *files], check=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    generate(sys.argv[1])
