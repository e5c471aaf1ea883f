"""Checks that each folder of src/ includes only from itself and from the folders before it in the list of
CMakeLists.txt (SLAO_FOLDERS), which is the order of DESIGN: base linalg model ... sweep, then cli."""

import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
listed = re.search(r"set\(SLAO_FOLDERS ([^)]*)\)", (root / "CMakeLists.txt").read_text())
order = listed.group(1).split() + ["cli"]
faults = []
checked = 0
for path in sorted((root / "src").glob("*/*.[ch]")):
    folder = path.parent.name
    if folder not in order:
        faults.append(f"{path}: folder {folder} is not in SLAO_FOLDERS")
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        include = re.match(r'#include "(\w+)/', line)
        if not include:
            continue
        checked += 1
        if include.group(1) not in order or order.index(include.group(1)) > order.index(folder):
            faults.append(f"{path}:{number}: {folder}/ may not include {line.split()[1]}")
print("\n".join(faults) or f"{checked} includes follow the order {' < '.join(order)}")
sys.exit(bool(faults) or not checked)
