"""Specs of networks that decode: the ``decode:`` section of docs/decode.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from absint.frontends.spec.decode_condition import Conditions
from absint.frontends.spec.decode_detector import DetectorNetwork, read_detector
from absint.frontends.spec.decode_fuse import atoms, simplify
from absint.frontends.spec.decode_machines import Labelled, read_machines
from absint.frontends.spec.decode_match import Words
from absint.frontends.spec.decode_network import StepNetwork, read_network
from absint.frontends.spec.decode_state_names import state_names
from absint.frontends.spec.decode_template import (
    Slots,
    check_steps,
    read_allowed,
    read_sets,
    read_template,
    read_tokens,
)
from absint.frontends.spec.decode_tokens import TokenNames
from absint.frontends.spec.decode_vocabulary import read_vocabulary
from absint.frontends.spec.dtype import read_meaning
from absint.frontends.spec.entries import property_name, read_entries
from absint.frontends.spec.files import ReferredFiles, decode, digest, find, read_bytes, stem
from absint.frontends.spec.reader import MAX_YAML_BYTES
from absint.frontends.spec.tree import Mapping, Node, parse
from absint.frontends.spec.types import Sources
from absint.frontends.spec.values import Leaves
from absint.problem import Meaning, ProblemError
from absint.problem.decode import DecodeProblem, Formula, Not, PromptCell, Tokens, probed
from absint.problem.outlook import Outlook
from absint.problem.problem import Semantics
from absint.problem.promptset import PromptSpace

TOP = ("name", "description", "semantics", "decode", "properties", "never", "always")
DECODE = (
    "vocabulary",
    "network",
    "detector",
    "sets",
    "prompt",
    "where",
    "steps",
    "stop",
    "allowed",
    "machines",
)
PROPERTY = ("name", "description", "prompt", "where", "never", "always")
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class DecodeSpec:
    """All problems of one file. Their names are distinct; vocabulary and steps are common."""

    problems: tuple[DecodeProblem, ...]
    network: StepNetwork
    digest: str
    """SHA-256 in hexadecimal; see ``absint.frontends.spec.files.digest``."""
    sources: Sources
    detector: DetectorNetwork | None = None


def is_decode_spec(path: str | Path) -> bool:
    """Whether ``path`` is a YAML or JSON spec with ``decode`` at the top.

    Raises InputError: the file cannot be read, or is not well-formed.
    """
    place = find(Path(path))
    if Path(place.name.removesuffix(".gz")).suffix.lower() not in _SUFFIXES:
        return False
    text = decode(read_bytes(place, MAX_YAML_BYTES), place)
    if "decode" not in text:
        return False
    _, root = parse(text, place)
    return isinstance(root, Mapping) and "decode" in root.values


def decode_spec(path: str | Path, semantics: Meaning | None = None) -> DecodeSpec:
    """Reads a spec with a ``decode`` section.

    ``semantics``: what the network means where the spec does not say (float32, unless given).

    Raises:
        InputError: whatever is wrong, with file, line and column.
        UnsupportedError: a construct that is not supported.
    """
    place = find(Path(path))
    data = read_bytes(place, MAX_YAML_BYTES)
    files = ReferredFiles(place.parent)
    source, root = parse(decode(data, place), place)
    reader = _Reader(place, Leaves(source, files), root, semantics)
    problems, network, detector = reader.read()
    sources = Sources(str(place), tuple(sorted(files.contents)))
    return DecodeSpec(problems, network, digest(data, files.contents), sources, detector)


@dataclass(frozen=True)
class _Common:
    """What the properties of a spec share."""

    words: Words
    machines: dict[str, Labelled]
    network: StepNetwork
    detector: DetectorNetwork | None
    steps: int
    stop: Tokens
    allowed: tuple[Tokens | None, ...]
    fields: dict[str, Node]
    semantics: Semantics


@dataclass(frozen=True)
class _Reader:
    path: Path
    leaves: Leaves
    root: Node
    asked: Meaning | None

    def read(self) -> tuple[tuple[DecodeProblem, ...], StepNetwork, DetectorNetwork | None]:
        top = self.leaves.fields(self.root, "a spec", TOP)
        if "description" in top:
            self.leaves.text(top["description"], "description")
        said = read_meaning(top.get("semantics"), self.leaves, "float32", self.asked)
        if "decode" not in top:
            raise self.leaves.source.error("a spec of decoding needs 'decode'", self.root)
        common = self._common(top["decode"], Semantics(said))
        entries = self._entries(top)
        problems = tuple(self._problem(*entry, common) for entry in entries)
        return problems, common.network, common.detector

    def _entries(self, top: dict[str, Node]) -> list[tuple[str, Node, dict[str, Node]]]:
        if "properties" not in top:
            named = property_name(top["name"], self.leaves) if "name" in top else stem(self.path)
            return [
                (named, self.root, {key: top[key] for key in ("never", "always") if key in top})
            ]
        for key in ("name", "never", "always"):
            if key in top:
                place = self.leaves.mapping(self.root, "a spec").keys[key]
                raise self.leaves.source.error(
                    f"'{key}' does not go together with 'properties'", place
                )
        return read_entries(top["properties"], self.path, PROPERTY, self.leaves)

    def _common(self, node: Node, semantics: Semantics) -> _Common:
        leaves = self.leaves
        fields = leaves.fields(node, "decode", DECODE)
        for key in ("vocabulary", "steps"):
            if key not in fields:
                raise leaves.source.error(f"decode needs '{key}'", node)
        vocabulary = read_vocabulary(fields["vocabulary"], leaves)
        index = {name: number for number, name in enumerate(vocabulary.names)}
        names = TokenNames(index, len(index), {})
        if "sets" in fields:
            names = read_sets(fields["sets"], names, leaves)
        words = Words(leaves, names, vocabulary)
        steps = check_steps(fields["steps"], leaves)
        stop: Tokens = frozenset()
        if "stop" in fields:
            stop = read_tokens(fields["stop"], names, leaves)
        network = StepNetwork()
        if "network" in fields:
            network = read_network(fields["network"], names, leaves)
        detector = None
        if "detector" in fields:
            if network.logits == "none":
                what = "a detector of a network that gives tokens (logits: none)"
                raise leaves.source.unsupported(what, fields["detector"])
            detector = read_detector(fields["detector"], names, leaves)
        allowed: tuple[Tokens | None, ...] = ()
        if "allowed" in fields:
            if network.logits == "none":
                raise leaves.source.error(
                    "'allowed' does not go with 'logits: none': the network chooses by itself",
                    fields["allowed"],
                )
            allowed = read_allowed(fields["allowed"], steps, names, leaves)
        machines = read_machines(fields["machines"], words) if "machines" in fields else {}
        return _Common(words, machines, network, detector, steps, stop, allowed, fields, semantics)

    def _problem(
        self, name: str, node: Node, entry: dict[str, Node], common: _Common
    ) -> DecodeProblem:
        if "description" in entry:
            self.leaves.text(entry["description"], "description")
        if ("never" in entry) == ("always" in entry):
            raise self.leaves.source.error(
                "a property needs 'never' or 'always', one of them", node
            )
        prompt = entry.get("prompt", common.fields.get("prompt"))
        if prompt is None:
            raise self.leaves.source.error("no prompt: give 'prompt' under 'decode'", node)
        templates = read_template(prompt, common.words.names, self.leaves)
        self._check_lengths(templates, prompt, common)
        where = entry.get("where", common.fields.get("where"))
        detector = () if common.detector is None else common.detector.outputs
        conditions = Conditions(common.words, common.machines, common.steps, detector)
        condition = None if where is None else conditions.all_of(where)
        if where is not None and conditions.probes:
            raise self.leaves.source.error("'where' speaks of the prompt alone", where)
        place = entry["never" if "never" in entry else "always"]
        verdict = self._verdict(place, "always" in entry, conditions)
        if conditions.probes and common.network.logits == "none":
            raise self.leaves.source.unsupported(
                "conditions on logits of a network that gives tokens (logits: none)", place
            )
        machines, (condition, verdict) = simplify(conditions.machines, (condition, verdict))
        cells = tuple(PromptCell(slots, condition) for slots in templates)
        try:
            problem = DecodeProblem(
                name,
                common.words.vocabulary.names,
                cells,
                common.steps,
                common.stop,
                machines,
                verdict,
                common.allowed,
                common.semantics,
                probes=tuple(conditions.probes),
                detector=detector,
                state_names=state_names(machines, common.machines),
            )
        except ProblemError as error:
            raise self.leaves.source.error(str(error), where or node) from error
        return self._not_vacuous(problem, where, place)

    def _verdict(self, node: Node, negated: bool, conditions: Conditions) -> Formula:
        """The catastrophe. ``always`` demands each condition of a list; ``never`` forbids each."""
        formula = Not(conditions.all_of(node)) if negated else conditions.any_of(node)
        said = {conditions.machines[i].reads for i in atoms(formula)}
        if "output" not in said and not probed(formula):
            raise self.leaves.source.error("this speaks of no output", node)
        return formula

    def _check_lengths(self, templates: tuple[Slots, ...], node: Node, common: _Common) -> None:
        """The network is called with up to ``steps - 1`` emitted tokens, the detector with all."""
        lengths = [len(slots) for slots in templates]
        if not min(lengths):
            raise self.leaves.source.error("a prompt has at least one token", node)
        calls = [("network", common.network, max(lengths) + common.steps - 1)]
        if common.detector is not None:
            calls.append(("detector", common.detector.call, max(lengths) + common.steps))
        for name, call, longest in calls:
            if call.length is not None and longest > call.length:
                raise self.leaves.source.error(
                    f"the {name} reads {call.length} tokens; prompt and output have up to "
                    f"{longest}",
                    node,
                )

    def _not_vacuous(
        self, problem: DecodeProblem, where: Node | None, place: Node
    ) -> DecodeProblem:
        """Without cells that hold no prompt. Raises InputError: nothing is left to be proved."""
        cells = tuple(
            cell
            for cell in problem.cells
            if cell.condition is None or PromptSpace(len(cell.slots)).of_cell(problem, cell)
        )
        if not cells:
            raise self.leaves.source.error("no prompt satisfies this", where or place)
        problem = replace(problem, cells=cells)
        if not _possible(problem):
            raise self.leaves.source.error("this is never true, whatever the network does", place)
        if not _possible(replace(problem, catastrophe=Not(problem.catastrophe))):
            raise self.leaves.source.error("this is always true, whatever the network does", place)
        return problem


def _possible(problem: DecodeProblem) -> bool:
    """The catastrophe is not ruled out before anything is read."""
    readers = [0] * len(problem.machines_of("prompt"))
    writers = [0] * len(problem.machines_of("output"))
    view = Outlook(problem)
    return any(
        view.can_still_happen(cell, readers, 0, cell.slots, writers, problem.steps, False)
        for cell in problem.cells
    )
