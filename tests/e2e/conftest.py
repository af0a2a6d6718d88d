"""A real Chromium, driven by Playwright, at a page that must not complain on its console."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from tests.conftest import require_tool
from tests.e2e.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from playwright.async_api import Browser, BrowserContext, Page

NODE_MODULES = Path(__file__).parents[2] / "build" / "node" / "node_modules"

# A connection that was cut or refused is told on the console by the browser itself; nothing else may be.
EXPECTED = re.compile(r"net::ERR_|the server responded with a status of (401|403|404|503)")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    chromium = require_tool("chromium")
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    await gateway.start()
    yield gateway
    await gateway.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(locale="en-GB", timezone_id="Africa/Cairo")
    context.set_default_timeout(15_000)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A page whose every error, warning and breach of its policy fails the test."""
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    assert [words for words in said if not EXPECTED.search(words)] == []


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder of the packages from npm that tests need."""
    if (NODE_MODULES / ".package-lock.json").exists():
        return NODE_MODULES
    message = "the packages of tests/e2e/package.json are not installed: `make tools` installs them"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def axe(node_modules: Path) -> str:
    """The source of axe-core, which checks a page for what keeps people out."""
    return (node_modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[str], Path]:
    """Where a picture of that name goes: the folder AJIL_PICTURES, else one that is thrown away."""
    folder = Path(os.environ.get("AJIL_PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return lambda name: folder / f"{name}.png"
