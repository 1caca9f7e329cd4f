"""Make facts.jsonl from the T-REx triples of PARAREL (github.com/yanaiela/pararel, folder data/trex_lms_vocab; MIT; the
facts themselves are Wikidata's, CC0):

    python sample_data/build_facts.py PATH/TO/triples > sample_data/facts.jsonl

Kept: relations with many objects whose question has one answer; subjects that occur in one triple alone over all
relations; subjects that do not contain their object; objects with at least MIN_SUBJECTS such subjects.
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

RELATIONS = ["P17", "P19", "P20", "P27", "P106", "P131", "P159", "P364", "P495", "P740", "P937", "P1412"]
MIN_SUBJECTS = 4


def main(folder: Path) -> None:
    triples: set[tuple[str, str, str]] = set()
    occurrences: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for path in sorted(folder.glob("P*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            subject, answer = (" ".join(row[key].split()) for key in ("sub_label", "obj_label"))
            triples.add((subject, path.stem, answer))
            occurrences[subject].add((path.stem, answer))
    kept = [
        (relation, answer, subject)
        for subject, relation, answer in triples
        if relation in RELATIONS
        and len(occurrences[subject]) == 1
        and answer.casefold() not in subject.casefold()
        and subject.isprintable()
    ]
    sizes = Counter((relation, answer) for relation, answer, _ in kept)
    for relation, answer, subject in sorted(kept, key=lambda k: (int(k[0][1:]), k[1], k[2])):
        if sizes[relation, answer] >= MIN_SUBJECTS:
            print(json.dumps({"subject": subject, "relation": relation, "object": answer}, ensure_ascii=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
