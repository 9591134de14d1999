"""The plugin that adds the pages and the metrics to Airflow, and refuses foreign hosts."""

import asyncio
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from penguins.settings import settings

STATIC = Path(__file__).parent / "penguins" / "ui" / "static"


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the page and its API, the metrics, or take alerts.

    The app is imported at the first request, because every process of Airflow loads plugins. A thread imports it,
    because MLflow's client takes seconds to import and the API server has other requests to answer.
    """
    path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
    name = path[1:] if path in ("/alerts", "/metrics") else "app"
    module = await asyncio.to_thread(import_module, f"penguins.ui.{name}")
    await module.app(scope, receive, send)


def own_hosts_only(app: ASGIApp) -> TrustedHostMiddleware:
    """Let Airflow answer under its own names only.

    A page of a foreign name that leads to this machine (DNS rebinding) could read Airflow through a browser.
    """
    urls = (conf.get("api", "base_url"), conf.get("core", "execution_api_server_url"))
    configured = [name for url in urls if url and (name := urlsplit(url).hostname)]
    names = settings().allowed_hosts.replace(",", " ").split()
    return TrustedHostMiddleware(app, ["localhost", "127.0.0.1", *configured, *names], www_redirect=False)


class PenguinsPlugin(AirflowPlugin):
    """Airflow finds this class in the plugins folder."""

    name = "penguins"
    fastapi_apps = [  # noqa: RUF012 (as Airflow declares it)
        # A separate app, because every page shows the icon and must not wait for the import of the other app.
        {"app": StaticFiles(directory=STATIC), "url_prefix": "/penguins/static", "name": "Penguins: files"},
        {"app": page, "url_prefix": "/penguins", "name": "Penguins"},
    ]
    fastapi_root_middlewares = [{"middleware": own_hosts_only, "name": "Penguins: hosts"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Penguins",
            "href": "penguins/",
            "url_route": "penguins",
            "destination": "nav",
            "nav_top_level": True,
            "icon": "penguins/static/penguin.svg",
            "icon_dark_mode": "penguins/static/penguin.svg",
        }
    ]
