"""A service of several processes."""

import threading

import httpx

from local.waiting import until
from tests.serving.api.conftest import Start, sample, started
from tests.serving.publisher import Publisher, forest
from tests.serving.service import PENGUIN


def test_several_workers_follow_the_registry(publisher: Publisher, start: Start) -> None:
    service = started(publisher, start, SERVING_WORKERS=2)
    base_url = service.http.base_url

    def versions() -> dict[int, str]:
        """Return the version of each worker, by process id; each request opens a new connection."""
        found = {}
        for _ in range(20):
            history = httpx.get(f"{base_url}/model/history").json()
            found[history["process"]] = history["served"][0]["version"] if history["served"] else ""
        return found

    until(lambda: sorted(versions().values()) == ["1", "1"], "both workers to serve")
    publisher.promote(second := publisher.publish(forest(1)))
    until(lambda: sorted(versions().values()) == [second, second], "both workers to swap")
    assert service.status()["cache_error"] is None
    threads = [threading.Thread(target=lambda: httpx.post(base_url.join("/predict"), json=PENGUIN)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sample(service, f'penguins_predictions_total{{species="Adelie",version="{second}"}}') == 20
    service.process.terminate()
    assert service.process.wait(timeout=10) == 0
    assert "Traceback" not in service.log
