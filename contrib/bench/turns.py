"""The common part of programs in which several subjects take turns, each with a database of its own."""
import argparse, json, os, shutil, subprocess, sys, tempfile

import agents
from measure import Failed

HERE = os.path.dirname(os.path.abspath(__file__))


def arguments(documentation, add, size):
    """The command line: the common options, and those that `add` adds to the parser. `size` is the default."""
    parser = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=agents.BINARY, help="a release build of holdfast")
    parser.add_argument("--size", default=size, help="of each database")
    add(parser)
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where databases and backups are written")
    given = parser.parse_args()
    given.binary = os.path.abspath(given.binary)
    return given


def take(given, name, subjects, measure, report):
    """Creates a database, calls `measure(subject, model, given)` for each subject, and reports the rows; the exit code.

    `subjects` are (name, subject); `given.folder` becomes a folder of this run, which is removed afterwards.
    """
    folder = tempfile.mkdtemp(prefix=f"holdfast-{name}.", dir=given.folder)
    given.folder, model, rows = folder, f"{folder}/model.db", []
    try:
        subprocess.run([sys.executable, f"{HERE}/make_db.py", model, given.size], check=True, stdout=sys.stderr)
        for subject_name, subject in subjects:
            try:
                rows.append(measure(subject, model, given))
            except Failed as failure:
                print(f"{subject_name}: {failure}", file=sys.stderr)
        print(json.dumps(rows, indent=2)) if given.json else report(rows, given)
    finally:
        shutil.rmtree(folder)
    return 0 if rows else 1
