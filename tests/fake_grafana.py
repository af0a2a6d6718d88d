"""Stands in for Grafana's server, which no package registry has: reads its settings as that does, and serves them.

`python fake_grafana.py server --homepath=HOME --config=FILE`; `GET /api/health` as Grafana answers it, and `GET /`
for all that it was given. It ends as Grafana does when its home or what it is to provision is not there.
"""

from __future__ import annotations

import configparser
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> None:
    verb, *options = arguments
    assert verb == "server"
    given = dict(option.removeprefix("--").split("=", 1) for option in options)
    if not (Path(given["homepath"]) / "conf" / "defaults.ini").is_file():
        sys.exit("Could not find config defaults, make sure homepath command line parameter is set")
    config = configparser.ConfigParser(interpolation=None)
    with open(given["config"], encoding="utf-8") as file:
        config.read_file(file)
    for name in ("data", "plugins", "provisioning"):
        assert Path(config["paths"][name]).is_dir(), name
    told = provisioned(Path(config["paths"]["provisioning"]))
    told["settings"] = {section: dict(config[section]) for section in config.sections()}
    told["home"] = json.loads(Path(config["dashboards"]["default_home_dashboard_path"]).read_text("utf-8"))["title"]
    told["pid"] = os.getpid()
    told["foreign"] = sorted(name for name in os.environ if name.startswith("GF_"))
    serve(config["server"]["http_addr"], int(config["server"]["http_port"]), told)


def provisioned(folder: Path) -> dict[str, Any]:
    sources = [json.loads(path.read_text("utf-8")) for path in (folder / "datasources").glob("*.yml")]
    providers = [json.loads(path.read_text("utf-8")) for path in (folder / "dashboards").glob("*.yml")]
    folders = [provider["options"]["path"] for file in providers for provider in file["providers"]]
    boards = [json.loads(path.read_text("utf-8")) for name in folders for path in sorted(Path(name).glob("*.json"))]
    return {"datasources": [source for file in sources for source in file["datasources"]], "dashboards": boards}


def serve(host: str, port: int, told: dict[str, Any]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = {"database": "ok", "version": "12.3.0"} if self.path.startswith("/api/health") else told
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    ThreadingHTTPServer((host, port), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
