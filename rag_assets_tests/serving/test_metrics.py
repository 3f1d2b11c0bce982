"""Metrics: the variables of serving are counted, and dashboard and page name what there is."""

import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rag_assets.answers.telling import Event, Said, Status
from rag_assets.serving.metrics import Metrics
from rag_assets.serving.service import Service

ROOT = Path(__file__).parent.parent.parent
DASHBOARD = ROOT / "docs" / "operating" / "dashboard.json"
PAGE = ROOT / "docs" / "operating" / "metrics.md"
NAME = re.compile(r"\b(?:rag_(?!assets\b)|vllm:)\w+")
SUFFIX = re.compile(r"(?:_(?:bucket|sum|count|total|created))+$")
BUILT = "When was MV Tern built?"


def samples(metrics: Metrics) -> Mapping[tuple[str, str], float]:
    """(name, the values of its labels) -> value."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (one.name, " ".join(one.labels.values())): one.value
        for family in families
        for one in family.samples
    }


def test_what_is_asked_by_hand_is_told_from_batches(service: Service) -> None:
    service.answer(BUILT, "auto")
    service.answer(BUILT, "auto", batch=True)
    service.answer(BUILT, "auto", batch=True)
    found = samples(service.metrics)
    for name, labels in (
        ("rag_answer_seconds_count", "{} total"),
        ("rag_first_sentence_seconds_count", "{}"),
        ("rag_answers_total", "{} stop auto llm answered read"),
    ):
        counts = [found[name, labels.format(asked)] for asked in ("by_hand", "batch")]
        assert counts == [1, 2], name


def test_questions_at_the_gate_are_told_apart(service: Service) -> None:
    with service.gate.admitted(), service.gate.admitted(batch=True):
        found = samples(service.metrics)
    assert found["rag_questions_running", "by_hand"] == 1
    assert found["rag_questions_running", "batch"] == 1
    assert found["rag_questions_waiting", "batch"] == 0


def test_the_first_sentence_is_timed_and_all_is_told(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("rag_assets.serving.metrics.time.perf_counter", lambda: now)
    heard: list[Event] = []
    tell = service.metrics.timed(heard.append, batch=False)
    events = [Status("searching"), Said("One."), Said(" Two.")]
    for event in events:
        now += 2.0
        tell(event)
    assert heard == events
    found = samples(service.metrics)
    assert found["rag_first_sentence_seconds_count", "by_hand"] == 1
    assert found["rag_first_sentence_seconds_sum", "by_hand"] == 4.0


def test_confidence_and_context_are_shares(service: Service) -> None:
    written = service.answer("Compare the ferries and explain how they differ.", "deep")
    found = samples(service.metrics)
    for role, budget in written.budget.items():
        share = budget["prompt_tokens"] / 4096
        assert found["rag_context_use_sum", role] == pytest.approx(share)
    assert written.budget
    assert found["rag_answer_confidence_sum", written.route.way] == pytest.approx(
        written.confidence
    )


def test_processors_are_read_when_asked(service: Service) -> None:
    used = {"llm": 1.5}
    metrics = Metrics(service.gate, lambda: used)
    assert samples(metrics)["rag_core_seconds_total", "llm"] == 1.5
    used["llm"] = 2.5
    assert samples(metrics)["rag_core_seconds_total", "llm"] == 2.5
    assert samples(metrics)["rag_core_seconds_total", "answerer"] > 0


def named(expressions: str) -> set[str]:
    return {SUFFIX.sub("", name) for name in NAME.findall(expressions)}


def of_dashboard() -> set[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    targets = [target for panel in panels for target in panel.get("targets", [])]
    return named(" ".join(target["expr"] for target in targets))


def of_answerer(service: Service) -> set[str]:
    text = Metrics(service.gate).text().decode()
    return {SUFFIX.sub("", name) for name in re.findall(r"^# TYPE (\w+)", text, re.MULTILINE)}


def of_engines() -> set[str]:
    found = importlib.util.find_spec("vllm")
    if found is None or not found.submodule_search_locations:
        pytest.skip("vLLM is not installed; its metrics are read from its source")
    (folder,) = found.submodule_search_locations
    files = (Path(folder) / "v1").rglob("*.py")
    return named(" ".join(file.read_text() for file in files if "metrics" in str(file)))


@pytest.mark.parametrize("place", ["dashboard", "page"])
def test_each_metric_that_is_named_exists(service: Service, place: str) -> None:
    named_there = of_dashboard() if place == "dashboard" else named(PAGE.read_text())
    ours = {name for name in named_there if name.startswith("rag_")}
    assert ours == of_answerer(service)
    engines = named_there - ours
    assert len(engines) > 8
    assert engines <= of_engines()


def test_dashboard_and_page_name_the_same() -> None:
    assert of_dashboard() == named(PAGE.read_text())


def test_the_dashboard_can_be_imported() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    for panel in panels:
        for target in panel.get("targets", []):
            expr = target["expr"]
            assert all(expr.count(a) == expr.count(b) for a, b in ("()", "[]", "{}"))
            assert panel["datasource"]["uid"] == "${source}"
