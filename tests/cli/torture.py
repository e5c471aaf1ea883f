#!/usr/bin/env python3
"""Sweeps that are killed at random moments and resumed until they are done:

    torture.py ROUNDS [--first 1] [--seed 0] [--kills 3] [--spec SPEC.json] [--slao build/release/slao] [--keep DIR]

A round is one sweep, from nothing to its end. Each of its runs but the last is struck at a random moment: a rank, the
coordinator (rank 0) or mpirun gets KILL, TERM, INT or USR1; numbers of ranks and the time between savepoints differ from
run to run. After every strike all that the store holds must be whole, and nothing may be left running; no step that has
a record may start again; at the end the fingerprint must be that of a sweep which nobody disturbed, and nothing may be
left that a sweep does not leave. Seed and number of a round make it alike but for the moments, which depend on the
machine: `torture.py 1 --first 54 --seed S` plays round 54 again.

mpirun of Open MPI 4.1 may never end when a rank is killed as it connects: it waits in PMIx_server_finalize for a lock that
nobody holds any more. An mpirun that is all that is left of a struck job is therefore killed after a while, and told of.

Without --spec it makes a tiny random Llama and trains it on the quickstart's suite. Needs h5py, Linux."""

import argparse
import dataclasses
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import uuid

import h5py

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TINY = {
    "name": "torture", "model": "model",
    "benchmark": {"format": "cl_benchmark", "path": str(SOURCE / "experiments/quickstart/suite"), "train_samples": 32,
                  "test_samples": 6},
    "train": {"batch_size": 4},
    "evaluate": {"max_new_tokens": 4, "tasks": "seen", "references": ["base"]},
    "sweep": {"method": ["slao", "seqlora"], "order": [["quiz", "guests", "desks"], ["quiz", "desks", "guests"]],
              "lambda": ["1/sqrt(i)", 0.3], "learning_rate": [1e-2], "seed": [0]}}

#: What the exit code may be after a strike: of slao that drains, of mpirun, of mpirun that tells of a rank.
CODES = {0, 1, 75, 128 + signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGINT,
         -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT}
TOO_EARLY = {128 + signal.SIGUSR1, -signal.SIGUSR1}  # before main, or before mpirun watches for it
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)  # SIGKILL most often
MISSED = "nothing: it had ended"
STARTING_SECONDS = 1.0  # about what mpirun and the reading of the model take
STEP_SECONDS = 0.1  # about what a step takes
JOB_SECONDS = 600  # within which a job must have ended
GONE_SECONDS = 60  # within which the rest of it must have


class Failure(Exception):
    pass


def check(fine, message):
    if not fine:
        raise Failure(message)


class Job:
    """A run of slao sweep, alone or under mpirun, with a mark in the environment by which its processes are known."""

    def __init__(self, command, ranks, temporary):
        self.mark = f"TORTURE={uuid.uuid4()}".encode()
        environment = dict(os.environ, TORTURE=self.mark.decode().partition("=")[2], TMPDIR=str(temporary))
        mpirun = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"] if ranks else []
        self.under_mpirun = ranks > 0
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([*mpirun, *command], stdout=self.output, stderr=subprocess.STDOUT,
                                        env=environment, start_new_session=True)

    def processes(self):
        """(pid, rank) of all that is alive; rank -1: mpirun, slao by itself, or what MPI has started beside them."""
        found = []
        for folder in pathlib.Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue  # it has just ended
            if self.mark not in environment or state == "Z":
                continue
            rank = [int(e.partition(b"=")[2]) for e in environment if e.startswith(b"OMPI_COMM_WORLD_RANK=")]
            found.append((int(folder.name), rank[0] if rank else -1))
        return found

    def strike(self, generator, store, n_left):
        """Waits for a random moment, and sends a signal: while the job starts, or once it has done some of its
        n_left steps. What was struck, as text."""
        steps = store / "steps"
        before = len(os.listdir(steps)) if steps.exists() else 0
        starting = n_left == 0 or generator.random() < 0.25
        wanted = generator.randrange(max(n_left, 1))
        while not starting and self.process.poll() is None:
            if steps.exists() and len(os.listdir(steps)) >= before + wanted:
                break
            time.sleep(0.002)
        time.sleep(generator.uniform(0, STARTING_SECONDS if starting else STEP_SECONDS))
        targets = [(pid, rank) for pid, rank in self.processes() if rank >= 0 or pid == self.process.pid]
        if self.process.poll() is not None or not targets:
            return MISSED
        pid, rank = generator.choice(targets)
        number = generator.choice(SIGNALS)
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return MISSED
        when = "while it starts" if starting else f"after {wanted} of {n_left} steps"
        return f"{number.name} to {'its head' if rank < 0 else f'rank {rank}'} {when}"

    def has_ended(self, within):
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait(self):
        """The exit code, once all processes of the job have ended, and whether mpirun had to be killed for that."""
        end, alone, killed = time.monotonic() + JOB_SECONDS, time.monotonic(), False
        while not self.has_ended(within=1):
            check(time.monotonic() < end, f"has not ended after {JOB_SECONDS} s: {self.processes()}")
            if any(rank >= 0 for _, rank in self.processes()):
                alone = time.monotonic()
            elif self.under_mpirun and time.monotonic() - alone > GONE_SECONDS:
                self.process.kill()
                killed = True
        code = self.process.returncode
        end = time.monotonic() + GONE_SECONDS
        while left := self.processes():
            check(time.monotonic() < end, f"still running {GONE_SECONDS} s after mpirun has ended: {left}")
            time.sleep(0.02)
        return code, killed

    def kill(self):
        for pid, _ in self.processes():
            os.kill(pid, signal.SIGKILL)

    def text(self):
        self.output.seek(0)
        return self.output.read()


def records(store):
    """Keys of all steps that have a record, each of which must be whole."""
    keys = set()
    for path in (store / "steps").glob("*.json"):
        try:
            record = json.loads(path.read_text())
        except ValueError as error:
            raise Failure(f"{path} is not whole: {error}") from error
        check(record["key"] == path.stem, f"{path} is the record of {record['key']}")
        if record["kind"] != "evaluate":
            check_adapter(store / "adapters" / path.stem)
        keys.add(path.stem)
    return keys


def check_adapter(folder):
    json.loads((folder / "adapter_config.json").read_text())
    content = (folder / "adapter_model.safetensors").read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    tensors = json.loads(content[8:8 + size])
    end = max(tensor["data_offsets"][1] for name, tensor in tensors.items() if name != "__metadata__")
    check(8 + size + end == len(content), f"{folder}: adapter_model.safetensors is not whole")


def events(store):
    """The journal's events; its last line may be torn."""
    journal = store / "journal.jsonl"
    found = []
    for line in journal.read_text().splitlines() if journal.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            found.append({"event": "torn"})
    return found


def fingerprint(results):
    with h5py.File(results) as file:
        for table in ("trials", "accuracy", "orders", "steps"):
            file[table][:]
        return str(file.attrs["fingerprint"])


def leftovers(folder, store, results, temporary):
    """What is there at the end of a round and should not be."""
    expected = {"journal.jsonl", "status.json", "steps", "adapters", "checkpoints", "logs", "specs"}
    found = [path.name for path in store.iterdir() if path.name not in expected]
    found += [f"{name}/{path.name}" for name in ("checkpoints", "logs") for path in (store / name).iterdir()]
    found += [str(path.relative_to(folder)) for path in folder.rglob("*") if ".tmp" in path.name]
    found += [path.name for path in folder.iterdir() if path not in (store, results, temporary)]
    known = records(store)
    found += [f"adapters/{path.name}" for path in (store / "adapters").iterdir() if path.name not in known]
    found += [path.name for path in temporary.iterdir() if not path.name.startswith("ompi.")]
    return found


def play(number, folder, spec, slao, most_kills, seed, whole):
    """One round. Prints a line; a Failure tells what went wrong. `whole` is the undisturbed sweep."""
    generator = random.Random(f"{seed}/{number}")
    folder.mkdir()
    temporary = folder / "tmp"
    temporary.mkdir()
    results, store = folder / "out.h5", folder / "out.store"
    kills, seen, told = generator.randint(1, most_kills), 0, []
    for run in range(kills + 1):
        command = [slao, "sweep", str(spec), "-o", str(results), "--progress", "none", "--checkpoint-seconds",
                   generator.choice(["0", "0.1", "60"])]
        before = records(store) if store.exists() else set()
        ranks, last = generator.choice([0, 1, 2, 2, 3]), run == kills
        job = Job(command, ranks, temporary)
        try:
            struck = MISSED if last else job.strike(generator, store, len(whole.keys) - len(before))
            told.append(f"{f'{ranks} ranks' if ranks else 'no mpirun'}, {'to the end' if last else struck}")
            code, stuck = job.wait()
            told[-1] += f" (exit code {code}{', mpirun had to be killed' if stuck else ''})"
            allowed = {0} if struck == MISSED else CODES
            if struck != MISSED and len(events(store)) == seen:
                allowed = allowed | TOO_EARLY
            check(code in allowed, f"exit code {code}")
            recorded = records(store) if store.exists() else set()
            check(before <= recorded, f"records are lost: {before - recorded}")
            check(recorded == whole.keys if code == 0 and not ranks else recorded <= whole.keys, "other steps ran")
            log = events(store)
            again = {e["key"] for e in log[seen:] if e["event"] == "started"} & before
            check(not again, f"steps that had a record were started again: {again}")
            seen = len(log)
            if results.exists():
                found = fingerprint(results)
                check(not last or found == whole.fingerprint, f"the fingerprint is {found}, not {whole.fingerprint}")
        except (Failure, OSError, ValueError, KeyError) as error:
            job.kill()
            raise Failure(f"round {number}: {'; '.join(told)}: {error}\n{job.text()}") from error
    done = [event["key"] for event in events(store) if event["event"] == "done"]
    check(len(done) == len(set(done)), f"round {number}: {'; '.join(told)}: steps ran twice")
    left = leftovers(folder, store, results, temporary)
    check(not left, f"round {number}: {'; '.join(told)}: left behind: {left}")
    print(f"round {number}: {'; '.join(told)}", flush=True)
    shutil.rmtree(folder)


@dataclasses.dataclass
class Whole:
    fingerprint: str
    keys: set


def run_undisturbed(command, work):
    subprocess.run([*command, work / "whole.h5"], check=True, stdout=subprocess.DEVNULL)
    return Whole(fingerprint(work / "whole.h5"), records(work / "whole.store"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", type=int)
    parser.add_argument("--first", type=int, default=1, help="number of the first round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=3, help="most strikes in a round")
    parser.add_argument("--spec", type=pathlib.Path)
    parser.add_argument("--slao", default=os.environ.get("SLAO", str(SOURCE / "build/release/slao")))
    parser.add_argument("--keep", type=pathlib.Path, help="an empty folder to work in, which stays after a failure")
    choices = parser.parse_args()
    work = choices.keep or pathlib.Path(tempfile.mkdtemp())
    try:
        spec = choices.spec
        if not spec:
            spec = work / "spec.json"
            subprocess.run([sys.executable, SOURCE / "tests/make_small_model.py", work / "model"], check=True)
            spec.write_text(json.dumps(TINY))
        whole = run_undisturbed([choices.slao, "sweep", str(spec), "--progress", "none", "-o"], work)
        print(f"seed {choices.seed}; undisturbed: {len(whole.keys)} steps, fingerprint {whole.fingerprint}", flush=True)
        for number in range(choices.first, choices.first + choices.rounds):
            play(number, work / f"round{number}", spec, choices.slao, choices.kills, choices.seed, whole)
        print(f"{choices.rounds} rounds: all as undisturbed")
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
    finally:
        if not choices.keep:
            shutil.rmtree(work)


if __name__ == "__main__":
    main()
