#!/usr/bin/env python3
"""Writes the quickstart's benchmark: five small text-classification tasks in the CL_Benchmark layout.

    make_suite.py [FOLDER]      default: suite/ beside this script

All text comes from the word lists and templates below, which were written for this project; nothing is
taken from anywhere. The output depends on nothing but this file: the same bytes on every machine.

The tasks differ in kind (topic, sentiment, time, signal, question type) and share no labels. Some labels are
plain words, others (the desks, the lamps) are arbitrary names that only training can teach, which is what
plain sequential fine-tuning forgets first. A test sentence is never a train sentence: the two are made from
different templates, and about a third of the words that give the class away occur in the test split alone.
"""

import hashlib
import json
import pathlib
import re
import sys

TRAIN, TEST = 240, 100

PLACES = ["at the mill", "by the old bridge", "in the north wing", "near the square", "behind the chapel",
          "on the second floor", "at the crossroads", "in the long hall", "beside the station", "under the arches"]
PEOPLE = ["Marta", "old Henrik", "the new porter", "our neighbour", "Mrs Dalby", "young Tomas", "the clerk",
          "cousin Ines", "the caretaker", "Mr Osei", "Lena", "the twins"]

# A task: its group, the group's instruction, templates for the two splits, and for each label a table of
# slots. {key} is filled from the label's own words (a list for both splits, a list for the test split alone),
# {place} and {person} from the lists above.
TASKS = {
    "desks": {
        "group": "ROUTE",
        "instruction": "Which desk takes the note?\n",
        "train": [
            "A note about the {a} and the {b}, left {place}.",
            "{person} writes that the {a} needs someone to look at it.",
            "Please tell somebody that the {a} {place} is next to the {b}.",
            "Question from {person}: who is in charge of the {a}?",
            "We still have one {a} too many and no {b} at all.",
        ],
        "test": [
            "{person} has sent two lines about a {a}, {place}.",
            "Could anyone say where the {a} went? {person} also asks for the {b}.",
            "The {a} came today, but the {b} is missing.",
        ],
        "labels": {
            "harbour": (["anchor", "sail", "rudder", "lifebelt", "fishing boat", "lighthouse", "mooring rope", "ferry"],
                      ["life raft", "tugboat", "oar"]),
            "kitchen": (["saucepan", "bread oven", "soup ladle", "pastry", "frying pan", "dinner menu", "teapot", "recipe"],
                       ["rolling pin", "butter dish", "kettle"]),
            "garden": (["rose bed", "watering can", "apple tree", "compost heap", "seedling", "hedge", "flower pot", "lawn"],
                       ["tulip bulb", "greenhouse", "plum tree"]),
            "office": (["printer", "keyboard", "laptop", "computer screen", "password", "web page", "mouse cable", "hard disk"],
                       ["router", "email account", "software update"]),
        },
    },
    "guests": {
        "group": "MOOD",
        "instruction": "How did the guest like it?\n",
        "train": [
            "{person} stayed {place} and said the room was {a}.",
            "Breakfast was {a}, the rest simply {b}.",
            "I found the house {a} and the evening {b}.",
            "Three nights {place}: {a} from start to end.",
            "{person} called our walk {a} and the guide {b}.",
        ],
        "test": [
            "All in all a {a} visit, wrote {person}.",
            "The view was {b} and the service {a}.",
            "My sister thought the supper {place} was {a}.",
        ],
        "labels": {
            "star": (["wonderful", "lovely", "delightful", "excellent", "charming", "perfect", "superb", "a joy"],
                      ["splendid", "marvellous", "delicious"]),
            "circle": (["average", "ordinary", "passable", "acceptable", "unremarkable", "so-so", "nothing special", "middling"],
                      ["fairly plain", "adequate", "mediocre"]),
            "cross": (["awful", "dreadful", "filthy", "disappointing", "horrible", "a disgrace", "terrible", "disgusting"],
                      ["nasty", "miserable", "shabby"]),
        },
    },
    "diary": {
        "group": "WHEN",
        "instruction": "When does it happen?\n",
        "train": [
            "{person} {a} {place}.",
            "{place}, {person} {a}, as the diary says.",
            "The diary says that {person} {a}.",
            "One line only: {person} {a} {place}, with a red pen in hand.",
        ],
        "test": [
            "Everyone knows that {person} {a} {place}.",
            "{person}, says the next page, {a}.",
            "For the record: {person} {a}.",
        ],
        "labels": {
            "past": (["painted the gate", "sold the horse", "wrote a letter", "walked home", "mended the fence", "sang a song", "baked a cake", "bought a coat"],
                       ["lost a glove", "met a friend", "closed the shop"]),
            "present": (["is painting the gate", "is selling the horse", "is writing a letter", "is walking home", "is mending the fence", "is singing a song", "is baking a cake", "is buying a coat"],
                    ["is looking for a glove", "is meeting a friend", "is closing the shop"]),
            "future": (["will paint the gate", "will sell the horse", "will write a letter", "will walk home", "will mend the fence", "will sing a song", "will bake a cake", "will buy a coat"],
                      ["will find a glove", "will meet a friend", "will close the shop"]),
        },
    },
    "lamps": {
        "group": "SIGNAL",
        "instruction": "Which lamp is lit?\n",
        "train": [
            "{person} reports {a} {place}.",
            "There is {a} {place}, and {b} too.",
            "Word from the gate: {a}, seen by {person}.",
            "It began with {a} and went on with {b}.",
        ],
        "test": [
            "Early today {person} noticed {a} {place}.",
            "The watch has written down {b}, then {a}.",
            "News {place}: {a}.",
        ],
        "labels": {
            "violet": (["smoke", "a fire", "burning straw", "flames on the roof", "a smell of gas", "sparks", "a hot chimney"],
                       ["glowing embers", "an explosion", "a burnt door"]),
            "silver": (["a flood", "water in the cellar", "heavy rain", "a burst pipe", "a leaking roof", "a rising river", "wet floors"],
                       ["a puddle in the hall", "a broken dam", "an overflowing drain"]),
            "orange": (["a thief", "a broken lock", "a stolen purse", "a burglar", "an open safe", "a smashed window", "missing silver spoons"],
                       ["a masked stranger", "a robbed shop", "a pickpocket"]),
            "brown": (["a stray dog", "two loose goats", "a runaway horse", "an escaped parrot", "a swarm of bees", "a cat in the tree", "cows on the road"],
                      ["a wild boar", "a lost puppy", "sheep in the yard"]),
        },
    },
    "quiz": {
        "group": "ASKS",
        "instruction": "What does the question ask for?\n",
        "train": [
            "{a} {b} {place}?",
            "{person} would like to know: {a} {b}?",
            "Question from the second table: {a} {b} {place}?",
            "Tell us quickly, {a} {b}?",
        ],
        "test": [
            "For ten points: {a} {b}?",
            "{person} wonders, {a} {b} {place}?",
        ],
        "labels": {
            "person": ((["who", "which man", "which woman", "what person", "whose brother"], ["which girl", "what writer"]),
                       (["won the first race", "painted the ceiling", "lost the silver key", "opened the new school", "broke the record"], ["played the violin", "found the map"])),
            "place": ((["where", "in which town", "in what country", "on which street", "at what address"], ["in which city", "on what island"]),
                      (["was the first race", "is the painted ceiling", "did they lose the key", "is the new school", "was the record broken"], ["did the violin stay", "was the map found"])),
            "time": ((["when", "in which year", "on what day", "at what hour", "in which month"], ["on which date", "in what century"]),
                     (["was the first race", "was the ceiling painted", "did they lose the key", "does the new school open", "was the record broken"], ["did the violin arrive", "was the map found"])),
            "amount": ((["how many", "what number of", "how great a number of", "what total of"], ["how large a count of"]),
                       (["people ran the first race", "painters did the ceiling", "keys were lost", "schools have opened", "records were broken"], ["violins were played", "maps were found"])),
        },
    },
}


class Random:
    """A stream of numbers from SHA-256 of a name and a counter: the same with any Python."""

    def __init__(self, name):
        self.name, self.count = name, 0

    def below(self, bound):
        self.count += 1
        digest = hashlib.sha256(f"{self.name}/{self.count}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % bound

    def choice(self, items):
        return items[self.below(len(items))]

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]


def key_words(words, split):
    """(list for slot a, list for slot b): both from the same words unless a label gives two tables."""
    tables = words if isinstance(words[0], tuple) else (words, words)
    return [both + extra if split == "test" else both for both, extra in tables]


def sentence(random, templates, words, split):
    first, second = key_words(words, split)
    template = random.choice(templates)
    a, b = random.choice(first), random.choice(second)
    while a == b:
        b = random.choice(second)
    text = template.format(a=a, b=b, place=random.choice(PLACES), person=random.choice(PEOPLE))
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    return text[0].upper() + text[1:]


def examples(name, task, split, count, taken):
    random = Random(f"{name}/{split}")
    labels = list(task["labels"])
    result = []
    while len(result) < count:
        label = labels[len(result) % len(labels)]
        text = sentence(random, task[split], task["labels"][label], split)
        if text not in taken:
            taken.add(text)
            result.append({"sentence": text, "label": label})
    random.shuffle(result)
    return result


def write(path, value):
    if isinstance(value, list) and isinstance(value[0], dict):
        text = "[\n" + ",\n".join(json.dumps(row) for row in value) + "\n]\n"
    else:
        text = json.dumps(value, indent=2) + "\n"
    path.write_bytes(text.encode())


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "suite"
    instructions = {}
    for name, task in TASKS.items():
        instructions[task["group"]] = [{"instruction_type": "zero-shot", "instruction": task["instruction"]}]
        place = folder / task["group"] / name
        place.mkdir(parents=True, exist_ok=True)
        taken = set()  # by both splits: no sentence comes twice, in one split or across them
        write(place / "train.json", examples(name, task, "train", TRAIN, taken))
        write(place / "test.json", examples(name, task, "test", TEST, taken))
        write(place / "labels.json", list(task["labels"]))
    write(folder / "instruction_config.json", instructions)


if __name__ == "__main__":
    main()
