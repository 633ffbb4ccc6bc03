"""What all stand-ins share: one server, a path for each, recorded calls, faults, and resets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from include.sandbox.faults import Fault, Faults
from include.sandbox.serving import Api, listen, path_of, together


class World:
    def __init__(self) -> None:
        self.faults = Faults()


class Echo(Api):
    """Answers with the requested path. Its first segment is the account."""

    def account_of(self, request: Request) -> str | None:
        return path_of(request).split("/")[1] or None

    def answer(self, request: Request, fault: Fault | None) -> Response:
        return PlainTextResponse(path_of(request))


@pytest.fixture
def apis() -> dict[str, Echo]:
    return {"one": Echo(World()), "two": Echo(World())}


@pytest.fixture
def url(apis: dict[str, Echo]) -> Iterator[str]:
    with listen(together(apis)) as url:
        yield url


def get(url: str, **options: object) -> requests.Response:
    return requests.get(url, timeout=5, **options)


def test_each_stand_in_is_served_below_its_own_path_and_does_not_see_it(url, apis) -> None:
    assert get(f"{url}/one/v1/thing?a=b").text == "/v1/thing"
    assert get(f"{url}/two/v1/other").text == "/v1/other"
    assert get(f"{url}/three/v1/thing").status_code == 404
    [call] = apis["one"].calls
    assert (call.path, call.target, call.account_id) == ("/v1/thing", "/one/v1/thing?a=b", "v1")
    assert len(apis["two"].calls) == 1


def test_a_stand_in_answers_below_another_ones_path_for_its_own_accounts(url, apis, monkeypatch) -> None:
    for name, api in apis.items():
        monkeypatch.setattr(
            api, "account_of", lambda request, name=name: name if name in path_of(request) else None
        )
    assert get(f"{url}/one/v1/two").text == "/v1/two"
    assert [call.path for call in apis["two"].calls] == ["/v1/two"]
    assert apis["one"].calls == []
    get(f"{url}/one/v1/nobody")
    assert [call.path for call in apis["one"].calls] == ["/v1/nobody"]


def test_the_root_path_shows_the_calls_of_all_stand_ins(url, apis) -> None:
    get(f"{url}/one/v1/thing")
    shown = get(f"{url}/sandbox/calls").json()
    assert [call["path"] for call in shown["one"]] == ["/v1/thing"]
    assert shown["two"] == []
    assert requests.delete(f"{url}/one/sandbox/calls", timeout=5).json() == []
    assert apis["one"].calls == []


def test_a_fault_affects_one_stand_in_and_can_be_set_over_http(url, apis) -> None:
    assert requests.put(f"{url}/one/sandbox/app/fault", json={"kind": "html_503"}, timeout=5).ok
    assert get(f"{url}/one/a").status_code == 503
    assert get(f"{url}/two/a").ok
    assert requests.delete(f"{url}/one/sandbox/app/fault", timeout=5).ok
    assert get(f"{url}/one/a").ok
    account = f"{url}/one/sandbox/accounts/a/fault"
    assert requests.put(account, json={"kind": "truncated", "times": 1}, timeout=5).ok
    assert get(f"{url}/one/b").text == "/b"
    assert get(f"{url}/one/a").text.startswith("{")
    assert get(f"{url}/one/a").text == "/a"
    assert requests.put(account, json={"kind": "friendly"}, timeout=5).status_code == 400


def test_a_reset_works_below_a_path_too(url, apis) -> None:
    apis["two"].faults.set("a", Fault("reset"))
    with pytest.raises(requests.ConnectionError):
        get(f"{url}/two/a")
    apis["two"].faults.set("a", Fault("hang"))
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{url}/two/a", timeout=0.2)
