"""The files of deploy/ name only what exists."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from program import BINARY, ROOT

DEPLOY = ROOT / "deploy"
METRIC = re.compile(r"\b(?:kvasir_|vllm:)[a-z_]+\b")


@pytest.fixture(scope="module")
def metrics(server) -> set[str]:
    """The names of all samples at /metrics after a request."""
    server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2})
    text = server.get("/metrics").body.decode()
    return {re.split(r"[{ ]", line, maxsplit=1)[0] for line in text.splitlines() if line and not line.startswith("#")}


def check_query(query: str, metrics: set[str]):
    names = set(METRIC.findall(re.sub(r'"[^"]*"', '""', query)))
    assert names or "up{" in query, query
    assert names <= metrics, (query, names - metrics)
    for opened, closed in ("()", "{}", "[]"):
        assert query.count(opened) == query.count(closed), query


def test_the_dashboard_shows_what_there_is(metrics):
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(panels) > 15 and len(ids) == len(set(ids))
    for panel in panels:
        assert panel["targets"] and panel["title"], panel
        for target in panel["targets"]:
            check_query(target["expr"].replace("$__rate_interval", "1m"), metrics)
            assert '{instance=~"$instance"}' in target["expr"], "every panel follows the choice of instances"
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert variables == {"datasource", "instance"}


def test_the_dashboard_leaves_nothing_out(metrics):
    """Each metric of our own is on it, except those that vary with the labels only."""
    shown = METRIC.findall((DEPLOY / "grafana.json").read_text())
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics if name.startswith("kvasir_")}
    missing = {name for name in ours if not any(name in one for one in shown)}
    assert missing <= {"kvasir_requests_accepted_total", "kvasir_steps_total"}, missing


def test_alerts_are_complete_and_name_what_there_is(metrics):
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    names = [rule["alert"] for rule in rules]
    assert len(rules) >= 8 and len(names) == len(set(names))
    for rule in rules:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}, rule
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[smh]", rule["for"])
        check_query(rule["expr"], metrics)


def test_prometheus_itself_takes_the_alerts():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus, 25 MB); the rules were checked by their structure")
    done = subprocess.run([promtool, "check", "rules", DEPLOY / "alerts.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_scrape_job_fits_the_alerts():
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    assert config["rule_files"] == ["alerts.yml"]
    assert {job["job_name"] for job in config["scrape_configs"]} == {"kvasir"}


def test_the_settings_are_read():
    done = subprocess.run([BINARY, "serve", "--config", DEPLOY / "serve.toml", "--print-config"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in re.findall(r"^(\w+ = [^#\n]*)", (DEPLOY / "serve.toml").read_text(), re.MULTILINE):
        assert line.strip() in done.stdout.splitlines(), line
    commented = re.findall(r"^# (\w+) = ", (DEPLOY / "serve.toml").read_text(), re.MULTILINE)
    assert commented and all(f"\n{key} = " in done.stdout for key in commented)


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    text = (DEPLOY / "kvasir.service").read_text()
    assert "ExecStart=/usr/local/bin/kvasir serve --config /etc/kvasir/serve.toml\n" in text
    stop = int(re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[1])
    assert stop > 30, "longer than the drain time-out"
    variable = re.search(r"^Environment=(KVASIR_SERVE_\w+)=", text, re.MULTILINE)[1]
    assert variable == "KVASIR_SERVE_API_KEY_FILE"
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed; only the lines above were checked")
    unit = tmp_path / "kvasir.service"
    unit.write_text(text.replace("/usr/local/bin/kvasir", str(BINARY)))
    done = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "kvasir.service" in line]
    assert not ours, ours


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def test_the_image_is_built_from_files_that_exist():
    known = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "VOLUME", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    commands = instructions()
    assert {name for name, _ in commands} <= known and [name for name, _ in commands].count("FROM") == 2
    for name, rest in commands:
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), rest
        if name == "RUN" and rest.startswith("./dev "):
            assert rest.split()[1] in (ROOT / "dev").read_text(), rest
        if name in ("ENTRYPOINT", "CMD", "VOLUME"):
            assert isinstance(json.loads(rest), list), rest
    assert '"--host", "0.0.0.0"' in dict(commands)["ENTRYPOINT"], "which test_serve_access.py keeps pages of other sites out of"
    assert commands[-1][0] == "CMD" and any(name == "USER" and rest != "root" for name, rest in commands)


def test_the_image_has_the_libraries_of_the_program():
    if shutil.which("dpkg-query") is None:
        pytest.skip("no Debian system: what packages hold is not known")
    listed = set(next(rest for name, rest in instructions() if name == "RUN" and "apt-get" in rest).split())
    linked = subprocess.run(["ldd", BINARY], capture_output=True, text=True, check=True).stdout
    libraries = re.findall(r"=> (/\S+)", linked)
    assert len(libraries) > 5
    roots = set()
    for line in subprocess.run(["readelf", "-d", BINARY], capture_output=True, text=True, check=True).stdout.splitlines():
        if found := re.search(r"NEEDED.*\[(.*)\]", line):
            roots.add(found[1])
    for library in libraries:
        name = library.rsplit("/", 1)[1]
        if name not in roots or name.startswith(("libc.", "libm.", "libgcc_s.")):
            continue  # of the base image, or brought by another package
        paths = [library, library.removeprefix("/usr"), "/usr" + library]
        owners = {line.split(":", 1)[0] for path in paths
                  for line in subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True, check=False).stdout.splitlines()}
        assert owners & listed, (name, owners)


def test_the_health_check_of_the_image_works(server):
    command = json.loads(next(rest for name, rest in instructions() if name == "HEALTHCHECK").split("CMD ", 1)[1])
    command = [part.replace("/8080", f"/{server.port}") for part in command]
    assert subprocess.run(command, check=False, timeout=20).returncode == 0
    command = [part.replace("/health", "/nothing") for part in command]
    assert subprocess.run(command, check=False, timeout=20, capture_output=True).returncode != 0
