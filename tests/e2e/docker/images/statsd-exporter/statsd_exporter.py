"""What the compose file relies on, of the StatsD exporter: InfluxDB's tags, mapped names, two kinds."""

import argparse
import re
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--statsd.mapping-config", "--statsd.listen-udp", "--web.listen-address"):
        parser.add_argument(name, required=True)
    given = vars(parser.parse_args())
    mapping = Path(given["statsd.mapping_config"]).read_text()
    names = dict(re.findall(r"- match: (\S+)\n\s+name: (\S+)", mapping))
    values: dict[str, float] = {}

    def receive() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("", int(given["statsd.listen_udp"].rpartition(":")[2])))
            while True:
                for line in server.recv(65_535).decode().splitlines():
                    keep(line)

    def keep(line: str) -> None:
        sent, _, rest = line.partition(":")
        name, *tags = sent.split(",")
        value, kind, *_ = rest.split("|")
        labels = ",".join(f'{key}="{tag}"' for key, _, tag in (one.partition("=") for one in tags))
        series = f"{names.get(name) or re.sub(r'[^a-zA-Z0-9_]', '_', name)}{{{labels}}}"
        if kind == "g":
            values[series] = float(value)
        elif kind == "c":
            values[series] = values.get(series, 0) + float(value)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            if self.path == "/metrics":
                self.wfile.writelines(
                    f"{series} {value}\n".encode() for series, value in sorted(values.items())
                )

        def log_message(self, *_: object) -> None:
            pass

    Thread(target=receive, daemon=True).start()
    ThreadingHTTPServer(("", int(given["web.listen_address"].rpartition(":")[2])), Answer).serve_forever()


if __name__ == "__main__":
    main()
