#!/usr/bin/env bash
# The hash of a model of a GiB is kept by the identity of its files: a second look does not read them, a changed file is
# read again, and a cache that is damaged or cannot be written changes nothing.
set -euo pipefail
python=$SLAO_SOURCE/build/python/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
"$python" - "$work/model" <<'END'
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
path = folder / "model.safetensors"
bytes_ = path.read_bytes()
length = int.from_bytes(bytes_[:8], "little")
header, data = json.loads(bytes_[8:8 + length]), bytes_[8 + length:]
rows, hidden = 6_000_000, 48  # the embedding, in F32: zeros that take no room on the disk
other = {name: entry for name, entry in header.items() if name not in ("__metadata__", "model.embed_tokens.weight")}
new, end = {}, 0
for name, entry in other.items():
    begin, stop = entry["data_offsets"]
    new[name] = entry | {"data_offsets": [end, end + stop - begin]}
    end += stop - begin
new["model.embed_tokens.weight"] = {"dtype": "F32", "shape": [rows, hidden], "data_offsets": [end, end + 4 * rows * hidden]}
text = json.dumps(new).encode()
text += b" " * (-len(text) % 8)
with path.open("wb") as file:
    file.write(len(text).to_bytes(8, "little") + text)
    for entry in other.values():
        file.write(data[slice(*entry["data_offsets"])])
    file.truncate(8 + len(text) + end + 4 * rows * hidden)
END

export XDG_CACHE_HOME=$work/cache
hash() { "$SLAO" inspect "$work/model" | awk '$1 == "hash" { print $2 }'; }
first=$(hash)
[ -n "$first" ]
kept=("$XDG_CACHE_HOME"/slao/*)
[ ${#kept[@]} = 1 ] && [ "$(cat "${kept[0]}")" = "$first" ] || { echo "the hash $first is not kept"; exit 1; }

other=0123456789abcdef0123456789abcdef
printf %s "$other" >"${kept[0]}"
[ "$(hash)" = "$other" ] || { echo "the file is read although its hash is kept"; exit 1; }
echo damaged >"${kept[0]}"
[ "$(hash)" = "$first" ] || { echo "a damaged hash is believed"; exit 1; }

printf x | dd of="$work/model/model.safetensors" bs=1 seek=1000000000 conv=notrunc status=none
second=$(hash)
[ "$second" != "$first" ] || { echo "a changed file has the hash of the old one"; exit 1; }
XDG_CACHE_HOME=/proc/nowhere
[ "$(hash)" = "$second" ] || { echo "without a cache the hash is another"; exit 1; }
