"""Compare models on the same records, one after another: `python -m benchmarks.compare_families`.

    python -m benchmarks.compare_families COMPARE.yaml -o FOLDER

runs each model of COMPARE.yaml in each of its orders as an ordinary job, into FOLDER/MODEL-ORDER/,
evaluates it, and writes FOLDER/comparison.json, .md and .html: quality with its interval against
records/s, tokens/s and the cost of 1,000 middles, with the Pareto front marked. If interrupted, run
the same command again: it continues and repeats nothing. It exits with 1 if a model failed.

    python -m benchmarks.compare_families --tiny -o FOLDER

first makes records, a tiny random model of each architecture and such a COMPARE.yaml.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from batchfim.config.absolute_paths import absolute
from batchfim.config.files import check_config
from batchfim.errors import InputError
from batchfim.exits import run_command
from batchfim.signals import exit_signals
from batchfim.storage.inputs import open_inputs
from batchfim.versions import versions
from benchmarks.families.contexts import room_note
from benchmarks.families.entries import open_entries, rooms
from benchmarks.families.rows import with_fronts
from benchmarks.families.running import Interrupted, earlier_rows, run_entries
from benchmarks.families.settings import Comparison, load_comparison
from benchmarks.families.writing import Folder
from benchmarks.measuring import keep, machine


def main() -> None:
    """Run or resume a comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("comparison", nargs="?", type=Path, metavar="COMPARE.yaml")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--tiny", action="store_true", help="a tiny model of each architecture")
    parser.add_argument("--records", type=int, default=150, help="number of records for --tiny")
    parser.add_argument("--keep", action="store_true", help="keep the result under results/")
    options = parser.parse_args()
    if options.tiny == (options.comparison is not None):
        parser.error("give COMPARE.yaml or --tiny")
    run_command(lambda: sys.exit(_main(options)))


def _main(options: argparse.Namespace) -> int:
    started = machine()
    path = options.comparison
    if options.tiny:
        from benchmarks.families.tiny import write_tiny  # torch takes seconds to import

        path = write_tiny(options.output, options.records)
    with exit_signals():
        code, folder = compare(load_comparison(path), options.output)
    if options.keep and code in (0, 1):
        keep("compare_families", folder, started=started)
    return code


def compare(comparison: Comparison, output: Path) -> tuple[int, dict[str, object]]:
    """Run every row and write the folder; return the exit code and `comparison.json`.

    Raises:
        UserError: the input is wrong for every model.
    """
    entries = open_entries(comparison, output)
    folder = Folder(
        output,
        comparison,
        _num_records(comparison),
        room_note(rooms(entries)),
        machine(),
        versions(),
    )
    metric = comparison.quality.metric
    try:
        rows = run_entries(
            comparison,
            entries,
            earlier_rows(folder.json),
            lambda rows: folder.write(with_fronts(rows, metric)),
        )
    except Interrupted as error:
        return error.code, {}
    rows = with_fronts(rows, metric)
    print(folder.text(rows))
    return int(any(row.state == "failed" for row in rows)), folder.contents(rows)


def _num_records(comparison: Comparison) -> int:
    job = check_config(dict(comparison.job), "input", {"model.path": "demo", "output.path": "each"})
    num_rows = sum(file.num_rows for file in open_inputs(absolute(job).input).files)
    if not num_rows:
        raise InputError(f"{', '.join(job.input.paths)}: no records to compare with")
    return num_rows


if __name__ == "__main__":
    main()
