"""A whole benchmark: chooses sets, methods and metrics, runs them and collects the results.

    outcome = Benchmark(Order(datasets=["LIME"], data_root=root)).run()

Everything that is printed, written or drawn comes from the `BenchmarkResult`.
"""

from __future__ import annotations

import platform
import shlex
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from .._version import __version__
from ..engine.options import RestoreOptions
from ..engine.runtime import threads_to_run
from ..errors import InputError, RestorectError, UsageError
from ..models import store
from ..names import TASKS
from .baselines import baseline, baselines_for
from .datasets import SIGMAS, Located, demo_sets, find_dataset, find_targets
from .journal import Journal, Row, journal_path
from .measures import Measure, choose_measures, measures_for
from .memory import peak_bytes
from .method import MethodSpec
from .methods import build
from .pairing import TestSet, count_label, open_set
from .pictures import load
from .runner import Methods, NoiseSetting, Results, Summary, run, summarise

ProgressBar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
INPUT = MethodSpec("input", "input")
NO_MODEL = "none"  # as a model: only the input and the other methods are scored


@dataclass(frozen=True)
class Order:
    """The user's options; the neutral defaults leave the choice to the test set."""

    datasets: Sequence[str] = ("demo",)
    data_root: Path | None = None
    targets: Path | None = None
    task: str | None = None
    limit: int | None = None  # pictures of each set, the first by name
    # the protocol
    sigmas: Sequence[float] = ()  # noise to add, 8-bit levels
    clipped: bool = False
    metrics: Sequence[str] = ()
    # our model, or NO_MODEL; its threads apply to every method
    restore: RestoreOptions = RestoreOptions(device="cpu")
    # the others
    all_baselines: bool = False
    baselines: Sequence[str] = ()
    peers: Sequence[MethodSpec] = ()
    memory: bool = False
    resume: bool = False


@dataclass
class SetOutcome:
    """One test set, scored."""

    test_set: TestSet
    settings: list[NoiseSetting]
    specs: list[MethodSpec]
    measures: list[Measure]
    rows: list[Row]
    summaries: list[Summary]
    restore: RestoreOptions
    model: str  # name and hash
    methods: Methods = ()
    peaks: dict[str, int | None] = field(default_factory=dict)  # by the method's name, bytes

    @property
    def name(self) -> str:
        return self.test_set.located.name

    @property
    def ours(self) -> str:
        """The method that chooses the pictures to show and that ratios refer to: our model, else the last method."""
        return next((spec.name for spec in self.specs if spec.kind == "restorect"), self.specs[-1].name)


@dataclass
class BenchmarkResult:
    """Everything that was measured."""

    sets: list[SetOutcome] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    threads: int = 1
    device: str = "cpu"
    machine: str = ""
    version: str = __version__


class Benchmark:
    """Runs an order. `say` gets lines of progress, `on_problem` one line for each thing that is not scored."""

    def __init__(
        self,
        order: Order,
        *,
        say: Callable[[str], None] = lambda line: None,
        on_problem: Callable[[str], None] = lambda line: None,
        progress: ProgressBar = lambda label, total: nullcontext(lambda amount: None),
    ) -> None:
        self.order, self._say, self._on_problem, self._progress = order, say, on_problem, progress
        self._threads = threads_to_run(order.restore.threads)
        self._restore = replace(order.restore, threads=self._threads)

    def run(self) -> BenchmarkResult:
        """Raises RestorectError if nothing can be scored; one failing set among several is only a problem."""
        outcome = BenchmarkResult(threads=self._threads, device=self.order.restore.device, machine=_machine())
        located, failures = self._locate(outcome)
        for one in located:
            try:
                outcome.sets.append(self._run_set(one, outcome))
            except InputError as error:
                failures.append(error)
                if len(located) > 1:
                    self._problem(outcome, str(error))
        if not outcome.sets:
            raise failures[0]
        return outcome

    def _locate(self, outcome: BenchmarkResult) -> tuple[list[Located], list[RestorectError]]:
        found: list[Located] = []
        failures: list[RestorectError] = []
        for name in self.order.datasets:
            try:
                found += self._named(name)
            except InputError as error:
                failures.append(error)
                if len(self.order.datasets) > 1:
                    self._problem(outcome, str(error))
        return found, failures

    def _named(self, name: str) -> list[Located]:
        if name.lower() != "demo":
            return [find_dataset(name, data_root=self.order.data_root, task=self.order.task)]
        tasks = [self.order.task] if self.order.task else [task for task in TASKS if self._has_model(task)]
        if not tasks:
            store.find(TASKS[0], self.order.restore.model)  # raises, with a fix
        return demo_sets(tasks)

    def _has_model(self, task: str) -> bool:
        if self.order.restore.model == NO_MODEL:
            return True
        try:
            store.find(task, self.order.restore.model, check=False)
        except RestorectError:
            return False
        return True

    def _run_set(self, located: Located, outcome: BenchmarkResult) -> SetOutcome:
        order, task = self.order, located.row.task
        settings = self._settings(located)
        test_set = self._open(located, settings, outcome)
        measures = self._measures(test_set, outcome)
        specs, methods, student = self._methods(task, outcome)
        journal = self._journal(test_set, student)
        results = self._score(test_set, settings, methods, measures, journal)
        outcome.problems += results.problems
        if not results.rows:
            raise InputError(f"no picture of test set {located.name} could be scored", "see the lines above")
        journal.close()
        summaries = summarise(results.rows, measures)
        one = SetOutcome(test_set, settings, specs, measures, results.rows, summaries, self._restore, student, methods)
        if order.memory:
            one.peaks = self._peaks(one)
        return one

    def _settings(self, located: Located) -> list[NoiseSetting]:
        """How to degrade: with noise if it is requested or the set holds only clean pictures."""
        if located.row.layout != "clean" and not self.order.sigmas:
            return [NoiseSetting()]
        return [NoiseSetting(sigma, self.order.clipped) for sigma in dict.fromkeys(self.order.sigmas or SIGMAS)]

    def _open(self, located: Located, settings: list[NoiseSetting], outcome: BenchmarkResult) -> TestSet:
        targets = self.order.targets and find_targets(self.order.targets, data_root=self.order.data_root)
        test_set = open_set(located, targets=targets, add_noise=settings[0].sigma is not None)
        for line in test_set.problems:
            self._problem(outcome, line)
        if self.order.limit is not None:
            test_set = test_set.first(self.order.limit)
        if test_set.is_partial:
            self._say(f"{located.name}: a part of the set, {count_label(test_set)}")
        return test_set

    def _journal(self, test_set: TestSet, student: str) -> Journal:
        order = self.order
        facts = {
            "version": __version__,  # the next version may have another model of NIQE
            "student": student,
            "task": test_set.located.row.task,
            "restore": self._restore,
            "metrics": list(order.metrics),
            "peers": [(spec.name, spec.argument, _peer_stamps(spec)) for spec in order.peers],
            "files": [_stamp(path) for case in test_set.cases for path in (case.degraded, case.target) if path],
        }
        journal = Journal(journal_path(facts), resume=order.resume)
        if journal.rows:
            self._say(f"{test_set.located.name}: resuming after {len(journal.rows)} scores")
        return journal

    def _score(
        self,
        test_set: TestSet,
        settings: list[NoiseSetting],
        methods: Methods,
        measures: list[Measure],
        journal: Journal,
    ) -> Results:
        total = len(settings) * len(test_set.cases)
        try:
            with self._progress(test_set.located.name, total) as advance:
                return run(test_set, settings, methods, measures, journal, on_problem=self._on_problem, advance=advance)
        except BaseException:  # Ctrl-C and SIGTERM too
            if journal.rows:
                self._say(f"{test_set.located.name}: {len(journal.rows)} scores are kept; --resume continues")
            raise

    def _measures(self, test_set: TestSet, outcome: BenchmarkResult) -> list[Measure]:
        has_targets = test_set.cases[0].target is not None
        if not self.order.metrics:
            return measures_for(test_set.located.row.task, has_targets=has_targets)
        chosen, problems = choose_measures(self.order.metrics, has_targets=has_targets)
        for line in problems:
            self._problem(outcome, line)
        return chosen

    def _methods(self, task: str, outcome: BenchmarkResult) -> tuple[list[MethodSpec], Methods, str]:
        specs, student = [INPUT], "none"
        if self._restore.model != NO_MODEL:
            found = store.find(task, self._restore.model)
            specs.append(MethodSpec("restorect", found.spec.name))
            student = f"{found.spec.name} {_digest(found)}"
        if self.order.all_baselines:
            ready, missing = baselines_for(task)
            specs += [MethodSpec("baseline", row.name) for row in ready]
            for line in missing:
                self._say(line)
        for name in self.order.baselines:
            baseline(name, self._threads)  # raises if it is missing
            specs.append(MethodSpec("baseline", name))
        specs += self.order.peers
        specs = list(dict.fromkeys(specs))
        names = [spec.name for spec in specs]
        if len(set(names)) < len(names):
            raise UsageError(f"two methods share a name ({', '.join(names)})", "give each peer a name of its own")
        return specs, [(spec, build(spec, task, self._restore)) for spec in specs], student

    def _peaks(self, one: SetOutcome) -> dict[str, int | None]:
        """Peak bytes by method, on the largest picture of the set."""
        task = one.test_set.located.row.task
        largest = max(one.rows, key=lambda row: row.megapixels).picture
        case = next(case for case in one.test_set.cases if case.stem == largest)
        setting = one.settings[0]
        degraded, _ = load(case, setting.sigma, clipped=setting.clipped)
        peaks = {}
        with self._progress(f"{one.name}, memory", len(one.specs) - 1) as advance:
            for spec in one.specs:
                if spec.kind != "input":
                    peaks[spec.name] = peak_bytes(spec, task, one.restore, degraded, setting.sigma)
                    advance(1)
        return peaks

    def _problem(self, outcome: BenchmarkResult, line: str) -> None:
        outcome.problems.append(line)
        self._on_problem(line)


def _digest(student: store.InstalledModel) -> str:
    """The first 12 digits of the SHA-256 of the velocity graph."""
    import hashlib

    return hashlib.sha256(student.velocity.read_bytes()).hexdigest()[:12]


def _stamp(path: Path) -> tuple[str, int, float]:
    """Size and time of a file, which reveal a change; zeros if it is not a file."""
    try:
        return (str(path), path.stat().st_size, path.stat().st_mtime) if path.is_file() else (str(path), 0, 0.0)
    except OSError:  # a word of a command may be too long for a file name
        return (str(path), 0, 0.0)


def _peer_stamps(spec: MethodSpec) -> list[tuple[str, int, float]]:
    """Stamps of the network, or of the program and every file in the command (also in `--weights=net.pt`)."""
    if spec.kind != "peer-command":
        return [_stamp(Path(spec.argument))]
    words = shlex.split(spec.argument)
    named = [word for text in words for word in (text, text.partition("=")[2]) if word]
    return [_stamp(Path(word)) for word in [shutil.which(words[0]) or "", *named]]


def _machine() -> str:
    """The CPU's name, if the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
