"""The sections that say where results come from: spec, versions and machine, data, and commands to repeat them."""

import shlex
from functools import lru_cache
from pathlib import Path

from recmodels.data import load_dataset
from recmodels.data.inspection import Facts, inspect_data
from recmodels.errors import UserError
from tuning.commandlines import next_steps, public, report_command, resume_command
from tuning.pages.content import Content, Listing, Notes, Section, Table, Text
from tuning.records import Environment
from tuning.reports.data_warnings import collected_warnings
from tuning.reports.tables import plain_columns
from tuning.spec import SearchSpec


def spec_section(specs: list[SearchSpec]) -> Section:
    """Return the space of the last spec as a table, and all specs as they are in spec.yaml, without passwords."""
    space = specs[-1].space.describe()
    rows = [(name, values, section, source) for section, name, values, source in space]
    table = Table.of(
        f"What {specs[-1].name} searched, and what it kept fixed",
        plain_columns("parameter", "values", "section", "from", left=4),
        rows,
    )
    return Section(
        "spec",
        "Spec",
        (table, *(Listing(f"{spec.name}: spec.yaml", _public_yaml(spec), folded=True) for spec in specs)),
    )


def versions_section(environment: Environment | None) -> Section:
    """Return packages, machine, source and the starts of a search."""
    if environment is None:
        return Section("versions", "Versions and machine", (Text("The search has not started yet."),))
    git = environment.git
    source = f"commit {git.commit[:12]}{' with local changes' if git.dirty else ''}" if git else "no checkout"
    machine = [
        ("processor", f"{environment.cpu.name}, {environment.cpu.cores} cores"),
        ("GPU", ", ".join(f"{gpu.name} (driver {gpu.driver})" for gpu in environment.gpus) or "none"),
        ("system", environment.platform),
        ("source", source),
        *(
            ("started", f"{start.time} on {start.host}, {start.threads_per_trial} threads a trial")
            for start in environment.starts
        ),
    ]
    versions = Table.of("Versions", plain_columns("package", "version", left=2), environment.versions.items())
    return Section(
        "versions",
        "Versions and machine",
        (Table.of("Machine", plain_columns("what", "is", left=2), machine), versions),
    )


def data_section(spec: SearchSpec, environment: Environment | None) -> Section:
    """Return the data card: sizes as the search recorded them, and, if the same data are still there, degrees, cold
    items and features."""
    if environment is None:
        return Section("data", "Data card", (Text("The data are described when the search starts."),))
    data = environment.data
    splits = [("training", data.train), ("validation", data.valid), ("test", data.test)]
    whole = data.train + data.valid + data.test
    rows = [
        ("users", f"{data.users:,}"),
        ("items", f"{data.items:,}"),
        *((f"{name} interactions", f"{size:,} ({size / max(whole, 1):.1%})") for name, size in splits),
        ("density", f"{whole / max(data.users * data.items, 1):.4%}"),
        ("fingerprint", data.fingerprint[:12]),
    ]
    sizes = Table.of(f"{data.name}, as the search read it", plain_columns("what", "is", left=2), rows)
    return Section("data", "Data card", (sizes, *_facts(spec, data.fingerprint)))


def commands_section(
    spec: SearchSpec, name: str, environment: Environment | None, export: Path | None, *, extend: bool
) -> Section:
    """Return the commands that started it all, go on with it, train its winner again, and make this page again."""
    parts: list[Content] = []
    if environment and (started := environment.starts[0].argv):
        parts.append(Listing("Started with", shlex.join(["python", *map(public, started)])))
    steps = [*next_steps(spec, export, extend=extend), report_command(name, spec.output_dir)]
    if not extend:
        steps.insert(0, resume_command(name, spec.output_dir))
    return Section("commands", "Commands to repeat it", (*parts, Listing("Next", "\n".join(steps))))


def _facts(spec: SearchSpec, fingerprint: str) -> list[Content]:
    try:
        facts, warnings = _inspected(spec.dataset, spec.data_dir, spec.cache_dir, fingerprint)
    except UserError as error:
        return [Text(f"More is not known, as the data set is not here now ({error}).")]
    except _AnotherError:
        return [Text("More is not known, as the data set of this name is another one now.")]
    degrees = [
        (f"of {name}", *values.values())
        for name, values in (("a user", facts["degrees"]["user"]), ("an item", facts["degrees"]["item"]))
    ]
    cold = facts["cold"]
    rows = [
        ("items", cold["items"], *cold["items_in"].values()),
        ("interactions with them", None, *cold["interactions_in"].values()),
        ("users", cold["users"], None, None),
    ]
    parts: list[Content] = [
        Table.of("Training interactions", plain_columns("", *facts["degrees"]["user"]), degrees),
        Table.of("Without a training interaction", plain_columns("", "all", "validation", "test"), rows),
    ]
    if features := facts["features"]:
        header = plain_columns(
            "modality", "rows", "columns", "constant columns", "zero rows", "repeated rows", "mean norm"
        )
        keys = ("constant_columns", "zero_rows", "repeated_rows")
        lines = [
            (name, *each["shape"], *(each[key] for key in keys), each["norms"]["mean"])
            for name, each in features.items()
        ]
        parts.append(Table.of("Features", header, lines))
    return parts + ([Notes(warnings)] if warnings else [])


class _AnotherError(Exception):
    """A data set of the same name has another fingerprint."""


@lru_cache(maxsize=4)
def _inspected(
    dataset: str, data_dir: str | None, cache_dir: str | None, fingerprint: str
) -> tuple[Facts, tuple[str, ...]]:
    """Return what there is to know of the data set with this fingerprint, and the warnings of reading it.

    It is kept, as the pages of an experiment and of its searches ask for the same, and a page that is renewed asks
    again. UserError if the data set is not there, _AnotherError if there is another one.
    """
    folders = (Path(path) if path else None for path in (data_dir, cache_dir))
    with collected_warnings() as warnings:
        loaded = load_dataset(dataset, *folders)
    if loaded.fingerprint != fingerprint:
        raise _AnotherError
    return inspect_data(loaded), tuple(warnings)


def _public_yaml(spec: SearchSpec) -> str:
    """Return the text of spec.yaml without the password that a tracking URI may have."""
    uri = spec.tracking.uri
    return (
        spec.to_yaml()
        if uri is None
        else spec.model_copy(update={"tracking": spec.tracking.model_copy(update={"uri": public(uri)})}).to_yaml()
    )
