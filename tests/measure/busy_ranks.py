#!/usr/bin/env python3
"""How busy the ranks of a sweep keep their cores: runs it, and watches its processes.

    tests/measure/busy_ranks.py build/release/slao experiments/quickstart/spec.json --ranks 2
    tests/measure/busy_ranks.py build/release/slao experiments/quickstart/spec.json --ranks 2 --idle 1 \\
        -- --set 'sweep.method=["seqlora"]' --set 'sweep.order=[["desks","guests"]]' --set evaluate.when=end

Per rank it prints shares of the time from the first step handed out to the last one: `cpu`, in which the rank computed,
all its threads together; `wanted`, in which its main thread, which runs the steps, computed or waited for a core that
another process had (on a machine by itself it would have computed); and `in steps`, in which it was running a step. A
rank is busy if the last two are over 95 %, and idle if the first is under 2 %; --idle says how many must be idle, all
others must be busy. Linux only (/proc/PID/task/TID/schedstat). What follows -- goes to slao sweep."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

EVERY = 0.02  # seconds between looks
BUSY, IDLE = 0.95, 0.02


def ranks_of(mpirun):
    """The processes of the ranks, by rank: children of mpirun that carry their number in the environment."""
    found = {}
    children = pathlib.Path(f"/proc/{mpirun}/task/{mpirun}/children").read_text().split()
    for child in children:
        try:
            environment = pathlib.Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for variable in environment:
            if variable.startswith(b"OMPI_COMM_WORLD_RANK="):
                found[int(variable.partition(b"=")[2])] = int(child)
    return found


def times_of(process):
    """Seconds of a core that all threads of a process have had; and that its main thread has had or waited for."""
    cpu = wanted = 0
    for thread in pathlib.Path(f"/proc/{process}/task").iterdir():
        try:
            had, waited = map(int, (thread / "schedstat").read_text().split()[:2])
        except OSError:
            continue  # it has just ended
        cpu += had
        if thread.name == str(process):
            wanted = had + waited
    return cpu * 1e-9, wanted * 1e-9


def in_steps(store, rank, begin, end):
    """Seconds between begin and end (of time.time) in which the rank ran steps, by their records."""
    total = 0
    for path in (store / "steps").glob("**/*.json"):
        record = json.loads(path.read_text())
        if record["mpi_rank"] == rank:
            finished = path.stat().st_mtime
            total += max(0, min(finished, end) - max(finished - record["seconds"], begin))
    return total


def watch(command, journal, n_ranks):
    """Runs the command. Times of all ranks at the first and at the last step handed out."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    ranks, started, first, last = {}, 0, None, None
    while process.poll() is None:
        time.sleep(EVERY)
        if len(ranks) < n_ranks:
            ranks = ranks_of(process.pid)
        now_started = journal.read_text().count('"event":"started"') if journal.exists() else 0
        if now_started == started or len(ranks) < n_ranks:
            continue
        started = now_started
        try:
            last = time.time(), {rank: times_of(child) for rank, child in ranks.items()}
        except OSError:
            break  # a rank has ended: nothing more is handed out
        first = first or last
    message = process.communicate()[1]
    if process.returncode != 0 or not first:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n{message}")
    return first, last, started


def partition(words, mark):
    place = words.index(mark) if mark in words else len(words)
    return words[:place], words[place:place + 1], words[place + 1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slao")
    parser.add_argument("spec")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--idle", type=int, default=0, help="ranks that must be idle")
    ours, _, rest = (list(part) for part in partition(sys.argv[1:], "--"))
    choices = parser.parse_args(ours)
    with tempfile.TemporaryDirectory() as work:
        command = ["mpirun", "-n", str(choices.ranks), "--oversubscribe", "--bind-to", "none", choices.slao, "sweep",
                   choices.spec, "-o", f"{work}/out.h5", "--progress", "none", *rest]
        store = pathlib.Path(work) / "out.store"
        first, last, started = watch(command, store / "journal.jsonl", choices.ranks)
        steps = {rank: in_steps(store, rank, first[0], last[0]) for rank in first[1]}
    span = last[0] - first[0]
    print(f"{started} steps; {span:.1f} s from the first handed out to the last")
    n_busy = n_idle = 0
    for rank in sorted(first[1]):
        cpu, wanted = ((b - a) / span for a, b in zip(first[1][rank], last[1][rank]))
        n_busy += min(wanted, steps[rank] / span) > BUSY
        n_idle += cpu < IDLE
        print(f"rank {rank}: cpu {100 * cpu:.1f} %, wanted {100 * wanted:.1f} %, in steps {100 * steps[rank] / span:.1f} %")
    if n_busy < choices.ranks - choices.idle or n_idle < choices.idle:
        sys.exit(f"FAILED: {n_busy} ranks are busy (over {100 * BUSY:.0f} %) and {n_idle} idle (under {100 * IDLE:.0f} %), "
                 f"not {choices.ranks - choices.idle} and {choices.idle}")


if __name__ == "__main__":
    main()
