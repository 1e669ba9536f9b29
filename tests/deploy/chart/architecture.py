"""Draws picture and tables of k8s/*.md from the chart: python tests/deploy/chart/architecture.py."""

import re
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent))

from rendered import CHART, REPOSITORY, pods, render, serving, values_of

PAGE, ARROWS_PAGE = REPOSITORY / "k8s/README.md", REPOSITORY / "k8s/ARCHITECTURE.md"
GROUPS = {
    "trades": ("valkey", "exchange", "collector", "coordinator", "engine", "trimmer", "notices"),
    "is asked": ("agent", "mlflow", "postgresql"),
    "watches": ("prometheus", "check"),
    "research": ("lab", "research", "retrain", "gaps", "reports", "weights"),
}
OF_EACH = {"coordinator": "ACCOUNT", "engine": "ACCOUNT", "trimmer": "ACCOUNT", "notices": "ACCOUNT", "agent": "NAME",
           "lab": "USER", "retrain": "NAME", "gaps": "SYMBOL", "reports": "ACCOUNT"}  # fmt: skip


def called(part):
    return f"{part}-{OF_EACH[part]}" if part in OF_EACH else part


def _table():
    return yaml.safe_load((CHART / "files/arrows.yaml").read_text())


def picture():
    """Who opens a connection to whom; Prometheus's arrows are one, to all that tell metrics."""
    table = _table()
    named = {end for arrow in table["arrows"] for end in (arrow["from"], arrow["to"])}
    lines = ["```mermaid", "flowchart LR"]
    for group, parts in GROUPS.items():
        lines.append(f'  subgraph group_{group.replace(" ", "_")}["{group}"]')
        lines += [f"    {part}[{called(part)}]" for part in parts if part in named]
        lines.append("  end")
    lines += [f"  {end}([{end}])" for end in table["outside"] if end in named]
    for arrow in table["arrows"]:
        if arrow["from"] != "prometheus":
            lines.append(f"  {arrow['from']} --> {arrow['to']}")
    lines += [f"  prometheus -. metrics .-> group_{group}" for group in ("trades", "is_asked")]
    return "\n".join([*lines, "```"])


def arrows():
    """The table of arrows, for people."""
    lines = ["| from | to | port | why |", "|---|---|---|---|"]
    for arrow in _table()["arrows"]:
        ports = ", ".join(map(str, arrow["ports"]))
        lines.append(f"| {arrow['from']} | {arrow['to']} | {ports} | {arrow['why']} |")
    return "\n".join(lines)


def _file_of(part):
    for path in sorted(CHART.rglob("templates/**/*.yaml")):
        if re.search(rf"^component: {part}$", path.read_text(), re.MULTILINE):
            return path.relative_to(CHART.parent)
    raise LookupError(f"no file describes {part}")


def _everything():
    """Production with what it leaves aside today."""
    return render(values_of("prod", accounts={"paper": {"notices": {"settings": "[notify]"}}}))


def workloads():
    """What runs: its kind, image, class, volume and file, as production has it."""
    objects = _everything()
    running = {pod.name for pod in serving(objects)}
    lines = ["| workload | kind | image | priority | keeps | file |", "|---|---|---|---|---|---|"]
    seen = set()
    classes = ["trading-system-execution", "trading-system-agents", "trading-system-research"]
    for pod in sorted(pods(objects), key=lambda pod: (classes.index(pod.spec["priorityClassName"]), pod.component)):
        if pod.component in seen:
            continue
        seen.add(pod.component)
        claims = pod.owner["spec"].get("volumeClaimTemplates", ())
        keeps = claims[0]["spec"]["resources"]["requests"]["storage"] if claims else ""
        image = re.sub(r"^sapphire/|[@:].*$", "", pod.main["image"])
        image = "runner-*" if image.startswith("runner-") and pod.component == "agent" else image
        priority = pod.spec["priorityClassName"].removeprefix("trading-system-")
        replicas = " 1" if pod.name in running and "replicas" in pod.owner["spec"] else ""
        file = f"`{_file_of(pod.component)}`"
        cells = (called(pod.component), pod.owner["kind"] + replicas, image, priority, keeps, file)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def outside():
    """What arrows lead to or come from besides parts."""
    return "\n".join(f"- {name}: {what}" for name, what in _table()["outside"].items())


PARTS = {PAGE: (picture, workloads), ARROWS_PAGE: (arrows, outside)}


def drawn(path):
    """A page with its drawn parts anew."""
    page = path.read_text()
    for part in PARTS[path]:
        begin, end = f"<!-- {part.__name__}: drawn from the chart -->\n", f"\n<!-- end of {part.__name__} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = before + begin + part() + end + after
    return page


if __name__ == "__main__":
    for each in PARTS:
        each.write_text(drawn(each))
