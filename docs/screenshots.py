"""Take the pictures of the tour: `PYTHONPATH=plugins:. .venv/bin/python docs/screenshots.py`, after `make demo-estate`.

Needs Chromium (Debian's package `chromium`).
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from rebake.estate.report import REBAKE, RETIRE_IMAGES
from stack import lineage, report, up
from stack.airflow import USER
from stack.layout import Layout
from stack.up import Stack

IMAGES = Path(__file__).with_name("images")
DAG = "deploy_webapp"
FOLLOWING = "rebake_on_new_base"
REPORTS = (REBAKE, RETIRE_IMAGES)


def pages(stack: Stack) -> dict[str, str]:
    """Return the page of each picture, by the picture's name."""
    deployments = [
        record for record in lineage.read(stack, ["webapp"]) if record.dag_run.startswith(DAG) and record.is_successful
    ]
    newest = max(deployments, key=lambda record: record.release_id)
    airflow = stack.settings.airflow_url
    run = f"{airflow}/dags/{DAG}/runs/{newest.dag_run.partition('/')[2]}"
    followed = max(stack.api.runs(FOLLOWING))
    return {
        "dags": f"{airflow}/dags",
        "grid": f"{airflow}/dags/{DAG}",
        "run": run,
        "bake-log": f"{run}/tasks/bake",
        "refresh-log": f"{run}/tasks/wait_for_refresh",
        "rebake": f"{airflow}/dags/{FOLLOWING}/runs/{followed}",
    }


def log_in(page: Page, stack: Stack) -> None:
    """Log in as the demonstration's user."""
    page.goto(stack.settings.airflow_url)
    page.fill("input[name=username]", USER)
    page.fill("input[name=password]", stack.settings.admin_password)
    page.click("button[type=submit]")
    page.wait_for_load_state("networkidle")


def main() -> int:
    """Take every picture; return the exit status."""
    chromium = shutil.which("chromium")
    if not chromium:
        sys.stderr.write("error: chromium is not on PATH: apt-get install chromium\n")
        return 1
    stack = up.connect(Layout.here())
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 850})
        log_in(page, stack)
        for name, url in pages(stack).items():
            page.goto(url)
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(2500)  # graphs are laid out after the last answer
            page.screenshot(path=IMAGES / f"{name}.png")
        page.goto(f"{stack.settings.airflow_url}/dags/{DAG}")
        page.get_by_role("button", name="Trigger").first.click()
        page.wait_for_timeout(2500)
        page.screenshot(path=IMAGES / "trigger.png")
        for kind in REPORTS:
            page.set_content(report.run(stack, kind, "html"))
            page.screenshot(path=IMAGES / f"report-{kind}.png")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
