"""What the pipeline adds to Airflow's UI: the page about promotions, in the navigation under Penguins."""

import asyncio
from importlib import import_module
from pathlib import Path

from airflow.plugins_manager import AirflowPlugin
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

STATIC = Path(__file__).parent / "penguins" / "ui" / "static"


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """The page and what it asks.

    Imported when it is first asked for, because every process of Airflow loads plugins, and in a thread, because
    MLflow's client takes its seconds and the API server has others to answer.
    """
    module = await asyncio.to_thread(import_module, "penguins.ui.app")
    await module.app(scope, receive, send)


class PenguinsPlugin(AirflowPlugin):
    """Found by Airflow, for it is in the plugins folder."""

    name = "penguins"
    fastapi_apps = [  # noqa: RUF012 (as Airflow has it)
        # By themselves: the icon is on every page, and must not be what the other waits for.
        {"app": StaticFiles(directory=STATIC), "url_prefix": "/penguins/static", "name": "Penguins: files"},
        {"app": page, "url_prefix": "/penguins", "name": "Penguins"},
    ]
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
