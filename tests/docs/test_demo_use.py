"""The page in the browser can be used: by mouse, finger and keyboard, and where something lacks."""

from __future__ import annotations

import numpy as np
import pytest
from demo_page import (
    OBJECT,
    SHOWN_PX,
    SIZE_PX,
    press,
    settle,
    shown_bones,
    shown_joints,
    shown_motion,
)


def test_a_dragged_joint_goes_along_and_bones_keep_their_length(page):
    before = shown_motion(page), shown_joints(page, "truth")
    number = OBJECT.joint_names.index("left_2")
    box = page.locator(".demo-stage").bounding_box()
    pixel = box["width"] / SIZE_PX
    x, y = (before[1][number] + 0.5) * pixel + [box["x"], box["y"]]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 3 * pixel, y - 2 * pixel, steps=3)
    page.mouse.move(x + 4 * pixel, y - 3 * pixel, steps=3)
    page.mouse.up()
    page.mouse.move(x, y)
    settle(page)
    after = shown_joints(page, "truth")
    assert np.abs(after[number] - before[1][number] - [4, -3]).max() < 0.05
    assert np.abs(after[0] - before[1][0]).max() == 0
    assert np.abs(shown_bones(page, "truth") - 30).max() < SHOWN_PX
    assert np.abs(shown_motion(page) - before[0]).max() > 0.01


class Phone:
    """The page on a phone, and fingers for it.

    Attributes:
        page: it.
        at: (x, y) beside the root's ring, as a finger is wider, px of the screen.
        pixel: of the picture, px of the screen.
    """

    def __init__(self, context, address):
        self.page = context.new_page()
        self.page.goto(f"{address}/demo.html")
        settle(self.page)
        self.page.locator(".demo-stage").scroll_into_view_if_needed()
        box = self.page.locator("[data-joint=root] .ring").bounding_box()
        self.at = box["x"] + box["width"] / 2 + 12, box["y"] + box["height"] / 2
        self.pixel = self.page.locator(".demo-stage").bounding_box()["width"] / SIZE_PX
        self._session = context.new_cdp_session(self.page)

    def touch(self, kind, *moved, first=0):
        """Send an event of fingers, numbered from `first`: how far from `at`, px of the picture.

        All that are down; at a ``touchEnd`` those that go up, or none if all do.
        """
        points = [
            {"id": i, "x": self.at[0] + x * self.pixel, "y": self.at[1] + y * self.pixel}
            for i, (x, y) in enumerate(moved, first)
        ]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        self.page.wait_for_timeout(20)


@pytest.fixture
def phone(browser, address):
    context = browser.new_context(viewport={"width": 390, "height": 700}, has_touch=True)
    yield Phone(context, address)
    context.close()


def test_a_finger_drags_a_joint_and_does_not_scroll(phone):
    before, scrolled = shown_joints(phone.page, "truth"), phone.page.evaluate("scrollY")
    phone.touch("touchStart", (0, 0))
    for part in range(1, 11):
        phone.touch("touchMove", (0, part))
    phone.touch("touchEnd")
    settle(phone.page)
    moved = shown_joints(phone.page, "truth") - before
    assert phone.page.evaluate("scrollY") == scrolled
    assert np.allclose(moved, [0, 10], atol=0.2)


def test_a_second_finger_on_the_joint_changes_nothing(phone):
    before = shown_joints(phone.page, "truth")
    beside = (-4, 0)
    phone.touch("touchStart", (0, 0))
    # Down where the joint is, and away with it.
    phone.touch("touchStart", (0, 0), beside)
    phone.touch("touchMove", (0, 3), beside)
    phone.touch("touchMove", (0, 3), (-4, -6))
    settle(phone.page)
    assert np.allclose(shown_joints(phone.page, "truth") - before, [0, 3], atol=0.2)
    phone.touch("touchEnd", (-4, -6), first=1)
    phone.touch("touchMove", (0, 6))
    phone.touch("touchEnd")
    # Another finger can drag now.
    phone.touch("touchStart", (0, 6))
    phone.touch("touchMove", (2, 6))
    phone.touch("touchEnd")
    settle(phone.page)
    assert np.allclose(shown_joints(phone.page, "truth") - before, [2, 6], atol=0.2)


def test_arrow_keys_move_a_joint_that_has_the_focus(page):
    before = shown_joints(page, "truth")
    page.locator("[data-joint=root]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    settle(page)
    assert np.allclose(shown_joints(page, "truth") - before, [1, 5], atol=1.5e-3)


def test_poses_unlike_the_data_are_called_so(page):
    note = page.locator(".demo-note")
    assert note.inner_text() == ""
    press(page, "x", "Home")
    assert "leaves the picture" in note.inner_text()


def test_nothing_is_asked_of_another_server(page, address):
    assert any(url.endswith(".wasm") for url in page.requests)
    assert all(url.startswith((address, "blob:", "data:")) for url in page.requests)


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_need_not_scroll_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.locator(".demo summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for part in (".demo-stage", ".demo-sliders", ".demo-bones", ".demo-joints"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_without_the_runtime_the_page_says_so_and_the_object_still_moves(tab, address):
    tab.route("**/ort.wasm.min.mjs", lambda route: route.fulfill(status=404))
    tab.goto(f"{address}/demo.html")
    settle(tab)
    assert "built without onnxruntime-web" in tab.locator(".demo-message").inner_text()
    before = shown_joints(tab, "truth")
    press(tab, "x", "ArrowRight")
    assert np.allclose(shown_joints(tab, "truth") - before, [0.5, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("part", "said"),
    [("toy6-direct.onnx", "toy6-direct.onnx could not be loaded"), ("measured.json", "measured")],
)
def test_a_file_that_is_missing_is_named(tab, address, part, said):
    tab.route(f"**/{part}", lambda route: route.fulfill(status=404))
    tab.goto(f"{address}/demo.html")
    settle(tab)
    assert said in tab.locator(".demo-message").inner_text()


def test_without_webassembly_the_page_says_so(tab, address):
    tab.add_init_script("delete globalThis.WebAssembly")
    tab.goto(f"{address}/demo.html")
    settle(tab)
    assert "no WebAssembly" in tab.locator(".demo-message").inner_text()


def test_opened_as_a_file_the_page_says_what_to_do(tab, address, site):
    tab.goto((site / "demo.html").as_uri())
    assert "python -m http.server" in tab.locator(".demo-message").inner_text()
