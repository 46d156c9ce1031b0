"""The live page: this machine, one page, one source of data."""

import http.client
import json
import threading

import pytest

from dso.report import Collector
from dso.report.serve import LiveReport, make_server


@pytest.fixture
def server(folder):
    report = LiveReport(Collector([folder]), "live", min_seconds=0.0, max_share=1e9)
    server = make_server(report)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def ask(server, path="/", host=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    headers = {} if host is None else {"Host": host}
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


def test_page_and_data(server):
    answer, body = ask(server)
    assert answer.status == 200
    assert "connect-src &#x27;self&#x27;" in body or "connect-src 'self'" in body
    assert '"live":true' in body
    answer, body = ask(server, "/data")
    assert answer.getheader("Content-Type").startswith("application/json")
    assert len(json.loads(body)["runs"]) == 2


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "", "localhost"])
def test_other_hosts_are_refused(server, host):
    for path in ("/", "/data", "/gone"):
        answer, body = ask(server, path, host)
        assert answer.status == 403
        assert "seed" not in body


def test_localhost_is_a_name_of_this_machine(server):
    answer, _ = ask(server, "/data", f"localhost:{server.server_port}")
    assert answer.status == 200


@pytest.mark.parametrize(
    "path", ["/config.json", "/../config.json", "/data/", "/data?x=1", "/summary.csv"]
)
def test_there_are_no_files(server, path):
    answer, body = ask(server, path)
    assert answer.status == 404
    assert "seed" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_there_is_only_reading(server, method):
    answer, _ = ask(server, method=method)
    assert answer.status == 501


def test_the_data_follow_the_run(server, folder):
    before = json.loads(ask(server, "/data")[1])
    log = folder / "dso_Nguyen-5_0.csv"
    with log.open("a") as file:
        file.write(log.read_text().splitlines()[-1] + "\n")
    after = json.loads(ask(server, "/data")[1])
    assert after["runs"][0]["n_iterations"] == before["runs"][0]["n_iterations"] + 1
