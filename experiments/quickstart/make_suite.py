#!/usr/bin/env python3
"""Writes the quickstart's benchmark: five small text-classification tasks in the CL_Benchmark layout.

    make_suite.py [FOLDER]      default: suite/ beside this script

All text comes from the word lists and templates below, which were written for this project; nothing is
taken from anywhere. The output depends on nothing but this file: the same bytes on every machine.

The tasks differ in kind (topic, sentiment, tense, kind of event, question type) and share no labels. Most
labels are plain words; those of the guests' moods are signs that only training can teach. A test sentence
is never a train sentence: the two are made from different templates, and about a third of the words that give
the class away occur in the test split alone.
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
            "star": (["wonderful", "lovely", "delightful", "excellent", "charming", "perfect", "superb", "brilliant"],
                      ["splendid", "marvellous", "delicious"]),
            "circle": (["average", "ordinary", "passable", "acceptable", "unremarkable", "so-so", "forgettable", "middling"],
                      ["plain", "adequate", "mediocre"]),
            "cross": (["awful", "dreadful", "filthy", "disappointing", "horrible", "appalling", "terrible", "disgusting"],
                      ["nasty", "miserable", "shabby"]),
        },
    },
    "diary": {
        "group": "TENSE",
        "instruction": "Which tense is it?\n",
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
            "past": (["painted the gate yesterday", "sold the horse last year", "wrote a letter a week ago", "walked home last night", "mended the fence yesterday", "sang a song last year", "baked a cake a week ago", "bought a coat last night"],
                     ["lost a glove last week", "met a friend yesterday", "closed the shop long ago"]),
            "present": (["is painting the gate now", "is selling the horse at this moment", "is writing a letter right now", "is walking home as we speak", "is mending the fence now", "is singing a song at this moment", "is baking a cake right now", "is buying a coat as we speak"],
                        ["is looking for a glove now", "is meeting a friend just now", "is closing the shop at the moment"]),
            "future": (["will paint the gate tomorrow", "will sell the horse next year", "will write a letter in a week", "will walk home tonight", "will mend the fence tomorrow", "will sing a song next year", "will bake a cake in a week", "will buy a coat tonight"],
                       ["will find a glove next week", "will meet a friend tomorrow", "will close the shop before long"]),
        },
    },
    "alarms": {
        "group": "SIGNAL",
        "instruction": "Which alarm is it?\n",
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
            "fire": (["smoke", "a fire", "burning straw", "flames on the roof", "a smell of gas", "sparks", "a hot chimney"],
                       ["glowing embers", "an explosion", "a burnt door"]),
            "water": (["a flood", "water in the cellar", "heavy rain", "a burst pipe", "a leaking roof", "a rising river", "wet floors"],
                       ["a puddle in the hall", "a broken dam", "an overflowing drain"]),
            "crime": (["a thief", "a broken lock", "a stolen purse", "a burglar", "an open safe", "a smashed window", "missing silver spoons"],
                       ["a masked stranger", "a robbed shop", "a pickpocket"]),
            "animal": (["a stray dog", "two loose goats", "a runaway horse", "an escaped parrot", "a swarm of bees", "a cat in the tree", "cows on the road"],
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
