"""Published numbers, to stand beside ours; and which benchmark a trial belongs to.

The numbers are in published.json, with their source, their model and who transcribed them. They are percent, of
Llama-2-7B-chat: beside those of another model they show the order of methods, not a target.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import lru_cache
from importlib import resources
from pathlib import Path

import pandas as pd

#: name in results files -> name in the literature
METHODS = {
    "slao": "SLAO", "seqlora": "SeqLoRA", "inclora": "IncLoRA", "olora": "O-LoRA", "o-lora": "O-LoRA",
    "nlora": "N-LoRA", "n-lora": "N-LoRA", "ewc": "EWC", "inflora": "InfLoRA", "sdlora": "SD-LoRA",
    "sd-lora": "SD-LoRA", "sapt": "SAPT-LoRA", "corda": "CorDA", "magmax": "MagMax", "knots": "KnOTS",
    "lora-lego": "LoRA-LEGO", "loralego": "LoRA-LEGO", "opcm": "OPCM", "lorm": "LoRM", "lorm-ab": "LoRM-AB",
    "lorm-ba": "LoRM-BA", "multitask": "MultiTask", "individual": "Individual", "average": "Average",
    "task-arithmetic": "Task arithmetic", "ties": "TIES", "dare": "DARE",
    "freb-ma": "FREB-MA", "frea-mb": "FREA-MB", "ftba-ma": "FTBA-MA", "ftba-mba": "FTBA-MBA", "ftba-mb": "FTBA-MB",
}

#: option of SLAO -> its value -> row of the published ablation
ABLATIONS = {
    "init": {"random": "Random/zero", "last-merge": "Last-Merge", "last-ft": "Last-FT"},
    "merge": {"B": "SLAO"},
}

#: column -> the values with which a setting is the published one; others have no published number beside them
AS_PUBLISHED = {
    "lambda": ("", "1/sqrt(i)"), "slao.init": ("", "last-ft"), "slao.merge": ("", "B"),
    "slao.qr_sign": ("", "positive"), "slao.row_scale": ("nan", "1.0"),
}

#: footnote under every table and figure that shows them
MARK = "†"


@lru_cache(maxsize=1)
def numbers() -> dict[str, dict]:
    """published.json."""
    return json.loads(resources.files(__package__).joinpath("published.json").read_text(encoding="utf-8"))


def method_name(method: str) -> str:
    """A method as the literature writes it; as it is where that is not known."""
    return METHODS.get(method, method)


def as_published(setting: pd.Series) -> bool:
    """Whether a setting is the one that numbers are published of, as far as its method's own options go."""
    return all(str(setting[column]) in values for column, values in AS_PUBLISHED.items() if column in setting)


def footnote() -> str:
    """What the mark † says."""
    data = numbers()
    return (f"{MARK} published, not ours: {data['source']}; {data['model']}. "
            f"Transcribed by {data['transcribed_by']}.")


def _title_of(tasks: frozenset[str], order_name: str) -> str | None:
    data = numbers()
    for key, names in data["tasks"].items():
        if tasks == frozenset(names):
            return data["titles"][key]
    for key, names in data["tasks"].items():
        if order_name in data["orders"][key] and tasks < frozenset(names):
            return data["titles"][key].replace(f"({len(names)} tasks)", f"({len(tasks)} of {len(names)} tasks)")
    return None


def benchmark_names(trials: pd.DataFrame, spec: dict[str, object]) -> list[str]:
    """The benchmark of each trial: trials are comparable exactly if they have the same set of tasks. Named as
    published where it is one of those, else after the folder of its data."""
    benchmark = spec.get("benchmark")
    folder = Path(str(benchmark.get("path", ""))).name if isinstance(benchmark, dict) else ""
    order_names: dict[frozenset[str], str] = {}
    sets = [frozenset(str(order).split(",")) for order in trials["order"]]
    for tasks, order_name in zip(sets, trials["order_name"]):
        order_names[tasks] = order_names.get(tasks) or order_name
    known: dict[frozenset[str], str] = {}
    for tasks, order_name in order_names.items():
        count = f"{len(tasks)} task" + ("s" if len(tasks) != 1 else "")
        name = first = _title_of(tasks, order_name) or (f"{folder} ({count})" if folder else count)
        number = 1
        while name in known.values():
            number += 1
            name = f"{first}, set {number}"
        known[tasks] = name
    return [known[tasks] for tasks in sets]


def _key(benchmark: str) -> str | None:
    titles = numbers()["titles"]
    return next((key for key, title in titles.items() if title == benchmark), None)


def scores(metric: str, benchmark: str, ran: Collection[str] = ()) -> dict[str, float]:
    """Published AA or BWT by method, in percent; empty where there are none for this benchmark. Variants that were
    published as an ablation only (FREA-MB) are there where they are among the methods that ran."""
    variants = ablation("merge", benchmark) if metric == "AA" else {}
    return {method: value for method, value in variants.items() if method in ran} | \
        numbers().get(metric, {}).get(_key(benchmark), {})


def scores_of_order(order_name: str, benchmark: str) -> dict[str, float]:
    """Published AA by method for one order of a benchmark."""
    key = _key(benchmark)
    return numbers()["AA_by_order"].get(order_name, {}) if key and order_name in numbers()["orders"][key] else {}


def ablation(option: str, benchmark: str) -> dict[str, float]:
    """Published AA of the ablation of an option of SLAO: `init` or `merge`."""
    return numbers().get(f"ablation_{option}", {}).get(_key(benchmark), {})


def ablated(option: str, value: str) -> str:
    """The row of the published ablation that a value of the option is; the value itself where there is none."""
    return ABLATIONS.get(option, {}).get(value, value)
