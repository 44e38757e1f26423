"""Whatever /openapi.json allows, and what it just does not allow, gets an answer that it describes, and never a 5xx: requests
are generated from the description by schemathesis."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from program import ROOT, heavy

CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance,status_code_conformance"
SMALL = {"max_tokens": 4, "max_completion_tokens": 4, "max_output_tokens": 16, "n": 4, "best_of": 4}


def specification(model: str) -> dict:
    """With the name of the model that is served, else most requests were a 404, and with short answers."""
    spec = json.loads((ROOT / "src/server/openapi.json").read_text())

    def visit(node):
        if isinstance(node, dict):
            for name, schema in (node.get("properties") or {}).items():
                if name == "model" and "type" in schema:
                    schema["enum"] = [model]
                if name in SMALL and "type" in schema:
                    schema["maximum"] = SMALL[name]
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            visit(child)

    visit(spec["paths"])
    visit({name: schema for name, schema in spec["components"]["schemas"].items() if name.endswith("Request")})
    return spec


@heavy
def test_generated_requests(serve, tmp_path):
    pytest.importorskip("schemathesis", reason="./dev setup test installs it")
    server = serve("--ctx", "128")
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(specification("smollm2")))
    run = subprocess.run(
        [Path(sys.executable).with_name("st"), "run", path, "--url", server.url, "--max-examples", "8", "--checks", CHECKS,
         "--phases", "fuzzing", "--workers", "2", "--request-timeout", "60", "--suppress-health-check", "all", "--seed",
         "1", "--generation-database", "none"],
        capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    server.alive()
    answered = [int(status) for status in re.findall(r"status=(\d+)", server.log)]
    assert len(answered) > 60 and max(answered) < 500
    assert answered.count(200) > 15, "most generated requests should get past the checks"
